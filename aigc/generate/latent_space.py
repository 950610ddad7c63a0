"""Walks among latents: between two of them, and along an attribute."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from aigc.errors import InvalidInputError

__all__ = ["WALKS", "attribute_direction", "interpolate"]

WALKS = ("spherical", "linear")


def interpolate(
    start: NDArray[np.float32], end: NDArray[np.float32], steps: int, walk: str = "spherical"
) -> NDArray[np.float32]:
    """(steps, d) float32 from one latent to another, both included.

    ``spherical`` goes along the arc (Shoemake 1985; White 2016, section 2.1) while the length goes evenly from one
    to the other: the middle of the straight line is shorter than latents drawn from a normal prior ever are, and
    decodes to something blurred. Latents that point to the same or the opposite side have no arc of their own: these
    are joined by the line.

    Args:
        start: (d,) float32.
        end: (d,) float32.
        steps: From 2.
        walk: ``spherical`` or ``linear``.

    Raises:
        InvalidInputError: Latents of other shapes or with numbers that are not finite, too few steps, another walk.
    """
    a, b = _checked(start, "start"), _checked(end, "end")
    if a.shape != b.shape:
        raise InvalidInputError(f"latents of {len(a)} and {len(b)} numbers: take both from one model", field="end")
    if steps < 2:
        raise InvalidInputError(f"steps is {steps}: take at least 2, the ends themselves", field="steps")
    if walk not in WALKS:
        raise InvalidInputError(f"walk is {walk!r}: take one of {WALKS}", field="walk")
    t = np.linspace(0, 1, steps)[:, None]
    long_a, long_b = np.linalg.norm(a), np.linalg.norm(b)
    straight = (1 - t) * a + t * b
    if walk == "spherical" and long_a > 0 and long_b > 0:
        angle = np.arccos(np.clip(a @ b / (long_a * long_b), -1, 1))
        if np.sin(angle) > 1e-4:
            arc = (np.sin((1 - t) * angle) * a / long_a + np.sin(t * angle) * b / long_b) / np.sin(angle)
            straight = arc * ((1 - t) * long_a + t * long_b)
    path = straight.astype(np.float32)
    path[0], path[-1] = start, end
    return path


def attribute_direction(having: NDArray[np.float32], lacking: NDArray[np.float32]) -> NDArray[np.float32]:
    """(d,) float32 to add to a latent for more of an attribute, to subtract for less (Larsen et al. 2016, section 4.1).

    The difference of the mean latents of contents that have it and of contents that lack it.

    Args:
        having: (n, d) float32, as :meth:`aigc.generate.base.LatentModel.encode` gives.
        lacking: (m, d) float32.

    Raises:
        InvalidInputError: One is empty, or they are of different widths.
    """
    for field, rows in (("having", having), ("lacking", lacking)):
        if rows.ndim != 2 or not len(rows):
            raise InvalidInputError(f"{field} has the shape {rows.shape}: at least one latent is needed", field=field)
    if having.shape[1] != lacking.shape[1]:
        raise InvalidInputError(
            f"latents of {having.shape[1]} and {lacking.shape[1]} numbers: take both from one model", field="lacking"
        )
    return np.asarray(having.mean(axis=0) - lacking.mean(axis=0), np.float32)


def _checked(latent: NDArray[np.float32], field: str) -> NDArray[np.float64]:
    row = np.asarray(latent, np.float64)
    if row.ndim != 1 or not len(row) or not np.isfinite(row).all():
        raise InvalidInputError(f"{field} is no latent: one row of finite numbers is needed", field=field)
    return row
