"""A catalogue of which the truth is known: what each item shows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from aigc.entities import Item
from aigc.errors import InvalidInputError

__all__ = ["AspectReader", "World", "pick"]


@dataclass(frozen=True, slots=True)
class World:
    """What there is at the start.

    Attributes:
        name: ``digits``, ``emoji`` or ``toy``.
        aspects: What a taste can be for: a digit, a group of emoji.
        items: The catalogue.
        shows: (n_items, n_aspects) float64: how much of each aspect an item shows; rows sum to 1.
    """

    name: str
    aspects: tuple[str, ...]
    items: tuple[Item, ...]
    shows: NDArray[np.float64]

    def __post_init__(self) -> None:
        """Refuse a truth of another shape."""
        if self.shows.shape != (len(self.items), len(self.aspects)) or not self.items:
            raise InvalidInputError(
                f"a world of {len(self.items)} items and {len(self.aspects)} aspects has a truth of shape "
                f"{self.shows.shape}",
                field="shows",
            )


class AspectReader(Protocol):
    """An eye of the simulator's own: it reads content that did not exist at the start, and no server ever sees it."""

    def read(self, items: Sequence[Item]) -> NDArray[np.float64]:
        """(n, n_aspects) float64 of n items with content: rows sum to 1; what cannot be read shows all alike."""
        ...


def pick(labels: NDArray[np.int64], each: int, n_aspects: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Rows of a catalogue: up to ``each`` of every aspect, drawn at random, mixed."""
    if each < 1:
        raise InvalidInputError(f"{each} items a taste; give at least 1", field="each")
    rows = [rng.permutation(np.flatnonzero(labels == aspect))[:each] for aspect in range(n_aspects)]
    return rng.permutation(np.concatenate(rows))
