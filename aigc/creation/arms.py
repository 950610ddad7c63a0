"""Which generator, and which way of telling it what to make: learned from what people did with the results."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

__all__ = ["Arm", "Arms"]

_DRAWS = 400


@dataclass(frozen=True, slots=True, order=True)
class Arm:
    """A model's version and a way of conditioning it."""

    model: str
    way: str


class Arms:
    """Thompson sampling over Beta posteriors (Thompson 1933; Chapelle and Li 2011); thread-safe.

    A reward is an event's weight: what is above 0 counts as that much success, what is below as that much failure, an
    impression without an answer as a little failure. The state is the sum of both, so it can be rebuilt from events.
    """

    def __init__(self, prior: float = 1.0) -> None:
        """Args: prior: successes and failures that every arm begins with."""
        self._prior = prior
        self._counts: dict[Arm, list[float]] = {}
        self._items: dict[str, Arm] = {}
        self._lock = threading.Lock()

    def own(self, item_id: str, arm: Arm) -> None:
        """Let what happens to an item count for an arm."""
        with self._lock:
            self._items[item_id] = arm

    def learn(self, item_ids: Sequence[str], weights: Iterable[float]) -> None:
        """Take in events on items; those of items that no arm made are left out."""
        with self._lock:
            if not self._items:
                return
            for item_id, weight in zip(item_ids, weights, strict=True):
                arm = self._items.get(item_id)
                if arm is None:
                    continue
                counts = self._counts.setdefault(arm, [0.0, 0.0])
                counts[0] += max(0.0, weight)
                counts[1] += max(0.0, -weight) + (0.1 if weight == 0 else 0.0)

    def choose(self, arms: Sequence[Arm], rng: np.random.Generator) -> tuple[Arm, float]:
        """An arm, and how likely it was to be chosen (estimated by 400 draws, at least 1/800).

        Args:
            arms: Those that can serve; at least one.
            rng: Of the draws.
        """
        counts = self.counts()
        good = np.array([self._prior + counts.get(a, (0.0, 0.0))[0] for a in arms])
        bad = np.array([self._prior + counts.get(a, (0.0, 0.0))[1] for a in arms])
        draws = rng.beta(good, bad, size=(_DRAWS + 1, len(arms))).argmax(axis=1)
        chosen = int(draws[-1])
        share = float((draws[:-1] == chosen).mean())
        return arms[chosen], max(share, 1 / (2 * _DRAWS))

    def counts(self) -> Mapping[Arm, tuple[float, float]]:
        """Arm → (successes, failures), without the prior."""
        with self._lock:
            return {arm: (good, bad) for arm, (good, bad) in self._counts.items()}
