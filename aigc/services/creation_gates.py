"""What a candidate has to pass: the gates of a strategy, beside what the catalogue holds now."""

from __future__ import annotations

import threading

from aigc.creation.gates.blocked import BlockedGate
from aigc.creation.gates.claims import ClaimsGate
from aigc.creation.gates.gate import Gate, Gates
from aigc.creation.gates.persons import PersonsGate
from aigc.creation.gates.quality import QualityGate
from aigc.creation.gates.readable import ReadableGate
from aigc.creation.gates.repetition import RepetitionGate
from aigc.creation.known_content import KnownContent
from aigc.recommend.creation_recipe import CreationRecipe
from aigc.store.base import Store

__all__ = ["CreationGates"]


class CreationGates:
    """Thread-safe; strategies with the same limits share what is known of the catalogue."""

    def __init__(self, store: Store) -> None:
        """Args: store: holds what must not be made again."""
        self._store = store
        self._known: dict[tuple[float, float], KnownContent] = {}
        self._lock = threading.Lock()

    def of(self, recipe: CreationRecipe) -> Gates:
        """The gates, the cheap ones first, beside all that is stored by now."""
        key = (recipe.duplicate_distance, recipe.most_copied)
        with self._lock:
            known = self._known.get(key)
            if known is None:
                known = self._known[key] = KnownContent(
                    self._store, distance=recipe.duplicate_distance, most_copied=recipe.most_copied
                )
        known.refresh()
        gates: list[Gate] = [
            BlockedGate(recipe.terms, recipe.patterns),
            ReadableGate(),
            PersonsGate(),
            RepetitionGate(),
            QualityGate(recipe.least_quality),
            known.pictures,
            known.texts,
        ]
        if recipe.unsupported_claims != "allow":
            gates.append(ClaimsGate(refuse=recipe.unsupported_claims == "refuse", exempt=recipe.fiction_names))
        return Gates(gates)
