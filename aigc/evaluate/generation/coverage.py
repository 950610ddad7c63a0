"""Precision, recall, density and coverage: are the pictures like real ones, and are all kinds of real ones there."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aigc.errors import InvalidInputError

__all__ = ["Coverage", "measure_coverage"]

_ROWS = 1024


@dataclass(frozen=True, slots=True)
class Coverage:
    """All but ``density`` in [0, 1]; 1 best.

    Attributes:
        precision: Share of generated ones within the k-th neighbour's distance of any real one.
        recall: Share of real ones within the k-th neighbour's distance of any generated one.
        density: How many real balls hold a generated one, ÷ k; about 1 for real against real.
        coverage: Share of real ones whose ball holds a generated one.
        k: Neighbours.
    """

    precision: float
    recall: float
    density: float
    coverage: float
    k: int


def measure_coverage(real: NDArray[np.float32], generated: NDArray[np.float32], k: int = 5) -> Coverage:
    """Kynkäänniemi et al. (2019) for the first two, Naeem et al. (2020) for the others.

    Equal to the package ``prdc`` of the latter, in blocks of rows, so that memory grows with n and not with n².

    Args:
        real: (n, d) float32.
        generated: (m, d) float32; take m = n, since all four change with the numbers.
        k: Of the nearest neighbour that is the radius; 5 in the paper.

    Raises:
        InvalidInputError: ``k`` is not in [1, n) or [1, m), or the dimensions differ.
    """
    a, b = np.asarray(real, np.float64), np.asarray(generated, np.float64)
    if a.ndim != 2 or b.ndim != 2 or a.shape[1] != b.shape[1]:
        raise InvalidInputError(f"features of shapes {a.shape} and {b.shape}: take both from one network", field="real")
    if not 1 <= k < min(len(a), len(b)):
        raise InvalidInputError(f"k is {k}: take one from 1 to {min(len(a), len(b)) - 1}", field="k")
    real_radii, generated_radii = _radii(a, k), _radii(b, k)
    inside = np.zeros(len(b), np.int64)
    recalled = np.zeros(len(a), bool)
    covered = np.zeros(len(a), bool)
    for start in range(0, len(a), _ROWS):
        rows = slice(start, start + _ROWS)
        distances = _squared_distances(a[rows], b)  # (rows, m)
        inside += (distances < real_radii[rows, None]).sum(axis=0)
        recalled[rows] = (distances < generated_radii).any(axis=1)
        covered[rows] = distances.min(axis=1) < real_radii[rows]
    return Coverage(
        precision=float((inside > 0).mean()),
        recall=float(recalled.mean()),
        density=float(inside.mean() / k),
        coverage=float(covered.mean()),
        k=k,
    )


def _radii(rows: NDArray[np.float64], k: int) -> NDArray[np.float64]:
    """(n,) squared distance to the k-th nearest of the others."""
    radii = np.empty(len(rows))
    for start in range(0, len(rows), _ROWS):
        distances = _squared_distances(rows[start : start + _ROWS], rows)
        own = np.arange(len(distances))
        distances[own, start + own] = np.inf
        radii[start : start + _ROWS] = np.partition(distances, k - 1, axis=1)[:, k - 1]
    return radii


def _squared_distances(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    found = (a**2).sum(axis=1)[:, None] + (b**2).sum(axis=1) - 2 * a @ b.T
    return np.asarray(np.maximum(found, 0))
