"""Is it new? The distance of generated pictures to the nearest one trained on, beside that of unseen real ones."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aigc.errors import InvalidInputError

__all__ = ["Memorisation", "measure_memorisation", "nearest_distances"]

_ROWS = 512


@dataclass(frozen=True, slots=True)
class Memorisation:
    """Distances in steps of 0 to 255, root mean square over a picture's values.

    Attributes:
        generated: Median distance of generated pictures to the nearest training picture.
        held_out: The same of real pictures that were not trained on.
        copies: Share of generated ones nearer than all but 1 % of the held-out ones: about 0.01 for what is new.
    """

    generated: float
    held_out: float
    copies: float

    @property
    def ratio(self) -> float:
        """``generated`` ÷ ``held_out``: far below 1 means copies."""
        return self.generated / max(self.held_out, 1e-9)


def measure_memorisation(
    train: NDArray[np.uint8], held_out: NDArray[np.uint8], generated: NDArray[np.uint8]
) -> Memorisation:
    """Distances in pixels (not in features, where a copy and a cousin can fall together).

    Args:
        train: (n, height, width, channels) uint8; all that was trained on.
        held_out: (m, height, width, channels) uint8.
        generated: (k, height, width, channels) uint8.
    """
    known, new = nearest_distances(train, generated)[0], nearest_distances(train, held_out)[0]
    return Memorisation(float(np.median(known)), float(np.median(new)), float((known < np.quantile(new, 0.01)).mean()))


def nearest_distances(
    train: NDArray[np.uint8], pixels: NDArray[np.uint8]
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """(n,) float32 root mean square distance to the nearest training picture, and (n,) int64 its row."""
    if train.shape[1:] != pixels.shape[1:] or not len(train) or not len(pixels):
        raise InvalidInputError(f"pictures of shapes {train.shape} and {pixels.shape}: they must agree", field="pixels")
    known = train.reshape(len(train), -1).astype(np.float32)
    norms = (known**2).sum(axis=1)
    distances = np.empty(len(pixels), np.float32)
    rows = np.empty(len(pixels), np.int64)
    for start in range(0, len(pixels), _ROWS):
        part = pixels[start : start + _ROWS].reshape(-1, known.shape[1]).astype(np.float32)
        squared = norms - 2 * part @ known.T  # (rows, n), but for ‖part‖²
        nearest = squared.argmin(axis=1)
        rows[start : start + _ROWS] = nearest
        # Once more in full: the expanded form cannot tell a copy from a near one.
        distances[start : start + _ROWS] = np.sqrt(((part - known[nearest]) ** 2).mean(axis=1))
    return distances, rows
