"""What a picture shows, as a row of numbers: histograms of gradients, and where which colour lies."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from aigc.features.image import decode_pixels

__all__ = ["PICTURE_FEATURES", "picture_features"]

_SIDE, _CELLS, _BINS, _COLOUR = 32, 8, 9, 4
_COLOUR_WEIGHT = 2.0
PICTURE_FEATURES = (_CELLS - 1) ** 2 * 4 * _BINS + _COLOUR**2 * 3


def picture_features(pictures: list[bytes]) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """((n, PICTURE_FEATURES) float32, (n,) bool): the features, and which pictures decoded.

    Histograms of oriented gradients (Dalal and Triggs 2005) over 32 × 32 pixels: unsigned, 9 bins, cells of 4 × 4
    pixels, blocks of 2 × 2 cells; and the mean colours of a 4 × 4 grid.
    """
    decoded = [decode_pixels(data) for data in pictures]
    good = np.array([pixels is not None for pixels in decoded], np.bool_)
    rows = np.zeros((len(pictures), PICTURE_FEATURES), np.float32)
    if good.any():
        pixels = np.stack([p for p in decoded if p is not None]).reshape(-1, _SIDE, _SIDE, 3)
        step = _SIDE // _COLOUR
        colours = pixels.reshape(-1, _COLOUR, step, _COLOUR, step, 3).mean(axis=(2, 4)).reshape(len(pixels), -1)
        rows[good] = np.concatenate([_gradients(pixels.mean(axis=3)), _COLOUR_WEIGHT * colours], axis=1)
    return rows, good


def _gradients(grey: NDArray[np.float32]) -> NDArray[np.float32]:
    """(n, (_CELLS-1)² · 4 · _BINS) float32 of (n, _SIDE, _SIDE)."""
    across, down = np.zeros_like(grey), np.zeros_like(grey)
    across[:, :, 1:-1] = grey[:, :, 2:] - grey[:, :, :-2]
    down[:, 1:-1] = grey[:, 2:] - grey[:, :-2]
    strength = np.hypot(across, down)
    place = np.mod(np.arctan2(down, across), np.pi) / np.pi * _BINS
    lower = np.floor(place).astype(np.int64) % _BINS
    upper_share = place - np.floor(place)
    step = _SIDE // _CELLS
    cells = np.zeros((len(grey), _CELLS, _CELLS, _BINS), np.float32)
    for bin_ in range(_BINS):
        share = np.where(lower == bin_, 1 - upper_share, np.where((lower + 1) % _BINS == bin_, upper_share, 0.0))
        cells[..., bin_] = (strength * share).reshape(len(grey), _CELLS, step, _CELLS, step).sum(axis=(2, 4))
    blocks = np.concatenate([cells[:, :-1, :-1], cells[:, 1:, :-1], cells[:, :-1, 1:], cells[:, 1:, 1:]], axis=3)
    blocks /= np.linalg.norm(blocks, axis=3, keepdims=True) + 0.1
    return blocks.reshape(len(grey), -1)
