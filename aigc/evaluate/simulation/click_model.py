"""When a user clicks: the ground truth of the simulator, open to inspection, hidden from the server."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aigc.errors import InvalidInputError

__all__ = ["ClickModel", "Mood"]


@dataclass(frozen=True, slots=True)
class Mood:
    """What a user brings to one list.

    Attributes:
        liking: (aspects,) float64 in [0, 1].
        weariness: (aspects,) float64, 0 when fresh.
        curiosity: In [0, 1].
        met: (aspects,) float64: how much of each aspect was seen so far.
    """

    liking: NDArray[np.float64]
    weariness: NDArray[np.float64]
    curiosity: float
    met: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class ClickModel:
    """A position-based model (Richardson, Dominowska and Ragno 2007): seen with e_p, then clicked with c.

        e_p = (p + 1)^-decay, p the place from 0
        appeal = Σ shows·liking·exp(-weariness) + curiosity·(1 - Σ shows·liking)·Σ shows·exp(-met)
        c = (least + (most - least)·appeal) · again^(times shown before)

    Attributes:
        least: Click probability of what does not appeal at all.
        most: Of what appeals wholly.
        decay: How attention falls with the place, ≥ 0.
        again: What showing an item once more does to its click probability, in [0, 1].
        like_rate: Part of the clicks that become likes.
        skip_rate: Part of what was seen and not clicked that is skipped on purpose.
        dislike_rate: Part of what was seen, not clicked and does not appeal that is disliked.
    """

    least: float = 0.02
    most: float = 0.6
    decay: float = 0.3
    again: float = 0.4
    like_rate: float = 0.4
    skip_rate: float = 0.2
    dislike_rate: float = 0.1

    def __post_init__(self) -> None:
        """Refuse values without a meaning."""
        for name in ("least", "most", "again", "like_rate", "skip_rate", "dislike_rate"):
            value = getattr(self, name)
            if not 0 <= value <= 1:
                raise InvalidInputError(f"{name} is {value}; give a number from 0 to 1", field=name)
        if self.least > self.most or not 0 <= self.decay < 100:
            raise InvalidInputError("least must not be above most, and decay be 0 or more", field="least")

    def attention(self, places: int) -> NDArray[np.float64]:
        """(places,) float64: probability that each place is seen."""
        return np.power(np.arange(1, places + 1, dtype=np.float64), -self.decay)

    def appeal(self, mood: Mood, shows: NDArray[np.float64]) -> NDArray[np.float64]:
        """(n,) float64 in [0, 1] of (n, aspects) float64."""
        liked = shows @ mood.liking
        fresh = shows @ (mood.liking * np.exp(-mood.weariness))
        unmet = shows @ np.exp(-mood.met)
        found: NDArray[np.float64] = np.clip(fresh + mood.curiosity * (1 - liked) * unmet, 0, 1)
        return found

    def click(self, mood: Mood, shows: NDArray[np.float64], times_shown: NDArray[np.int64]) -> NDArray[np.float64]:
        """(n,) float64: probability of a click on an item that is seen.

        Args:
            mood: The user's.
            shows: (n, aspects) float64.
            times_shown: (n,) int64: how often each was shown to this user before.
        """
        found: NDArray[np.float64] = (self.least + (self.most - self.least) * self.appeal(mood, shows)) * (
            self.again**times_shown
        )
        return found
