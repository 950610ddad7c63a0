"""Distances between two sets of features: Fréchet's between their Gaussians, and the kernel distance."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aigc.errors import InvalidInputError

__all__ = ["Gaussian", "frechet_distance", "kernel_distance"]


@dataclass(frozen=True, slots=True)
class Gaussian:
    """Mean (d,) and covariance (d, d) float64 of a set of features."""

    mean: NDArray[np.float64]
    covariance: NDArray[np.float64]

    @classmethod
    def fit(cls, features: NDArray[np.float32]) -> Gaussian:
        """Of (n, d) features; the covariance divides by n - 1.

        Raises:
            InvalidInputError: Fewer than two rows, or numbers that are not finite.
        """
        rows = _checked(features)
        return cls(rows.mean(axis=0), np.atleast_2d(np.cov(rows, rowvar=False)))


def frechet_distance(real: NDArray[np.float32], generated: NDArray[np.float32]) -> float:
    """‖μ₁ - μ₂‖² + tr(C₁ + C₂ - 2 (C₁ C₂)^½), at least 0 (Fréchet 1957; Heusel et al. 2017).

    The trace of (C₁ C₂)^½ is taken from the symmetric C₁^½ C₂ C₁^½, which has the same eigenvalues: no complex numbers
    appear and no small multiple of the identity has to be added for covariances without full rank.

    The estimate falls with n: compare figures of the same n, and with the floor of real against real.

    Args:
        real: (n, d) float32.
        generated: (m, d) float32.
    """
    a, b = Gaussian.fit(real), Gaussian.fit(generated)
    if a.mean.shape != b.mean.shape:
        raise InvalidInputError(
            f"features of {len(a.mean)} and {len(b.mean)} dimensions: take both from one network", field="features"
        )
    values, vectors = np.linalg.eigh(a.covariance)
    root = (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T
    cross = np.linalg.eigvalsh(root @ b.covariance @ root)
    trace = np.trace(a.covariance) + np.trace(b.covariance) - 2 * np.sqrt(np.maximum(cross, 0)).sum()
    return max(0.0, float(((a.mean - b.mean) ** 2).sum() + trace))


def kernel_distance(
    real: NDArray[np.float32], generated: NDArray[np.float32], *, subsets: int = 50, size: int = 1000, seed: int = 0
) -> tuple[float, float]:
    """Mean and standard deviation over subsets of the unbiased squared MMD with the kernel (x·y / d + 1)³.

    The kernel inception distance (Bińkowski et al. 2018), of whichever features are handed in. Being unbiased, it may
    be a little below 0.

    Args:
        real: (n, d) float32.
        generated: (m, d) float32.
        subsets: How many pairs of subsets.
        size: Rows of each, fewer where a set is smaller.
        seed: Of the choice of subsets.
    """
    a, b = _checked(real), _checked(generated)
    size = min(size, len(a), len(b))
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(subsets):
        x, y = a[rng.choice(len(a), size, replace=False)], b[rng.choice(len(b), size, replace=False)]
        within = (_off_diagonal(_kernel(x, x)) + _off_diagonal(_kernel(y, y))) / (size * (size - 1))
        found.append(within - 2 * _kernel(x, y).mean())
    return float(np.mean(found)), float(np.std(found))


def _kernel(x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray((x @ y.T / x.shape[1] + 1) ** 3)


def _off_diagonal(square: NDArray[np.float64]) -> float:
    return float(square.sum() - np.trace(square))


def _checked(features: NDArray[np.float32]) -> NDArray[np.float64]:
    rows = np.asarray(features, np.float64)
    if rows.ndim != 2 or len(rows) < 2:
        raise InvalidInputError(
            f"features of shape {rows.shape}: at least two rows of one width are needed", field="features"
        )
    if not np.isfinite(rows).all():
        raise InvalidInputError("features hold numbers that are not finite; look at the pictures", field="features")
    return rows
