"""Strategies side by side: means, paired differences and their intervals over seeds, over a run and round by round."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from aigc.errors import InvalidInputError
from aigc.evaluate.simulation.trace import Trace

__all__ = ["Band", "Mean", "PairedDifference", "band", "compare_pairs", "mean_of"]


@dataclass(frozen=True, slots=True)
class Mean:
    """A mean over seeds and its 95 % interval by Student's t; infinite from one seed."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class PairedDifference:
    """One strategy less another, seed by seed.

    Attributes:
        name: The strategy.
        baseline: What it is compared with.
        difference: Mean difference of engagement (expected clicks a visit) and its interval.
        relative: The mean difference ÷ the baseline's mean.
        wins: Seeds in which the strategy did better.
        seeds: In all.
    """

    name: str
    baseline: str
    difference: Mean
    relative: float
    wins: int
    seeds: int


@dataclass(frozen=True, slots=True)
class Band:
    """(rounds,) float64 each: a mean over seeds and its 95 % interval in every round."""

    value: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]


def mean_of(values: Sequence[float]) -> Mean:
    """Over seeds, which are independent of each other."""
    found = band(np.array(values, np.float64)[:, None])
    return Mean(float(found.value[0]), float(found.low[0]), float(found.high[0]))


def band(rows: NDArray[np.float64], confidence: float = 0.95) -> Band:
    """Mean and interval of each column of (seeds, rounds) float64."""
    seeds = len(rows)
    if not seeds:
        raise InvalidInputError("no seed was run; give one at least", field="seeds")
    mean = rows.mean(axis=0)
    if seeds == 1:
        return Band(mean, np.full_like(mean, -math.inf), np.full_like(mean, math.inf))
    half = stdtrit(seeds - 1, (1 + confidence) / 2) * rows.std(axis=0, ddof=1) / math.sqrt(seeds)
    return Band(mean, mean - half, mean + half)


def compare_pairs(traces: Mapping[str, Sequence[Trace]], name: str, baseline: str) -> PairedDifference:
    """Engagement of one strategy less that of another over the same seeds: users and dice are the same, so that what
    differs is what was shown.
    """
    one, other = traces[name], traces[baseline]
    if len(one) != len(other):
        raise InvalidInputError(f"{name} has {len(one)} seeds and {baseline} {len(other)}", field="seeds")
    differences = [a.mean_engagement - b.mean_engagement for a, b in zip(one, other, strict=True)]
    held = float(np.mean([b.mean_engagement for b in other]))
    found = mean_of(differences)
    return PairedDifference(
        name,
        baseline,
        found,
        found.value / held if held else math.nan,
        sum(d > 0 for d in differences),
        len(differences),
    )
