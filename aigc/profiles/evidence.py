"""A user's events beside their items and weights: what every part of a profile is made from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aigc.entities import Event, Item
from aigc.profiles.weights import EventWeights

__all__ = ["DAY_MS", "Evidence"]

DAY_MS = 86_400_000


@dataclass(frozen=True, slots=True)
class Evidence:
    """Events of one user, oldest first.

    Attributes:
        events: n events.
        items: The items they refer to; some may be gone.
        weights: (n,) float64 in [-1, 1].
        ages_days: (n,) float64, before the user's newest event: a taste fades against newer tastes, not an absence.
    """

    events: Sequence[Event]
    items: Mapping[str, Item]
    weights: NDArray[np.float64]
    ages_days: NDArray[np.float64]

    @classmethod
    def of(cls, events: Sequence[Event], items: Mapping[str, Item], weights: EventWeights) -> Evidence:
        """Weigh the events."""
        values = np.array([np.nan if e.value is None else e.value for e in events], np.float64)
        times = np.array([e.time_ms for e in events], np.float64)
        return cls(
            events,
            items,
            weights.weigh([e.type for e in events], values).astype(np.float64),
            (times[-1] - times) / DAY_MS if len(times) else times,
        )

    def decayed(self, half_life_days: float) -> NDArray[np.float64]:
        """(n,) float64: weights, halved for each half-life of age."""
        return np.asarray(self.weights * 0.5 ** (self.ages_days / half_life_days))
