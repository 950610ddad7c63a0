"""How varied pictures are beside real ones: the number that the collapse guard watches."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["diversity"]

_SIDE = 8


def diversity(real: NDArray[np.uint8], made: NDArray[np.uint8]) -> float:
    """In [0, 1]; 1 when as varied as real ones, 0 when all alike.

    The lesser of two ratios to real pictures, by thumbnails: the mean distance between any two, which falls when kinds
    are missing, and the median distance to the nearest other, which falls when few pictures repeat, however unlike.

    Args:
        real: (n, height, width, channels) uint8, n at least 2.
        made: (n, height, width, channels) uint8: the same number, since nearest distances fall with it.
    """
    real_pair, real_nearest = _distances(real)
    made_pair, made_nearest = _distances(made)
    return float(np.clip(min(made_pair / max(real_pair, 1e-9), made_nearest / max(real_nearest, 1e-9)), 0, 1))


def _distances(pixels: NDArray[np.uint8]) -> tuple[float, float]:
    rows = _thumbnails(pixels)
    norms = (rows**2).sum(axis=1)
    squared = norms[:, None] + norms - 2 * rows @ rows.T
    np.fill_diagonal(squared, np.inf)
    distances = np.sqrt(np.maximum(squared, 0))
    return float(distances[np.isfinite(distances)].mean()), float(np.median(distances.min(axis=1)))


def _thumbnails(pixels: NDArray[np.uint8]) -> NDArray[np.float64]:
    """(n, d) float64: means of blocks, about 8 × 8 a picture."""
    n, height, width, channels = pixels.shape
    high, wide = max(1, height // _SIDE), max(1, width // _SIDE)
    cut = pixels[:, : height // high * high, : width // wide * wide].astype(np.float64)
    blocks = cut.reshape(n, height // high, high, width // wide, wide, channels)
    return np.asarray(blocks.mean(axis=(2, 4)).reshape(n, -1))
