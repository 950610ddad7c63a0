"""Content that its own model would not take for real."""

from __future__ import annotations

import math

import numpy as np
from PIL import Image

from aigc.creation.candidate import Candidate
from aigc.creation.gates.gate import Finding
from aigc.prepare.denoise import estimate_noise
from aigc.prepare.picture import is_blank

__all__ = ["QualityGate"]

_NOISE = 40.0
_ROUGH = 0.6
# Rougher than any picture, whatever the estimate of the noise says: two-valued noise deceives it.
_ROUGHEST = 0.85
# Of the spread: a picture has even places, softened noise has none.
_LEAST_STEP = 0.2


class QualityGate:
    """A blank picture, a picture of noise, or one below a share of the champion model's own quality scores."""

    name = "quality"

    def __init__(self, least: float = 0.05) -> None:
        """Args: least: quality in [0, 1] below which content is refused; scores are ranks among real content."""
        self._least = least

    def judge(self, candidate: Candidate) -> Finding | None:
        """See :class:`Gate`."""
        pixels = candidate.pixels
        if pixels is not None:
            shown = pixels[..., 0] if pixels.shape[2] == 1 else pixels
            if is_blank(Image.fromarray(shown)):
                return Finding("BLANK_PICTURE", "shows nothing")
            rough = _roughness(pixels)
            uneven = _least_step(pixels) > _LEAST_STEP or estimate_noise(pixels[..., :3]) > _NOISE
            if rough > _ROUGHEST or (rough > _ROUGH and uneven):
                return Finding("NOISE", "is noise: neighbouring pixels have nothing to do with each other")
        if not math.isnan(candidate.quality) and candidate.quality < self._least:
            return Finding("LOW_QUALITY", f"has quality {candidate.quality:.3f}, below {self._least:g}")
        return None


def _roughness(pixels: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]) -> float:
    """Variance of the differences of neighbours over twice the variance: 1 for noise, near 0 for a picture."""
    values = pixels[..., :3].astype(np.float64).mean(axis=2)
    spread = values.var()
    if spread < 1:
        return 0.0
    across, down = np.diff(values, axis=1).var(), np.diff(values, axis=0).var()
    return float((across + down) / 2 / (2 * spread))


def _least_step(pixels: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]) -> float:
    """Lower quartile of the differences of neighbours over the standard deviation."""
    values = pixels[..., :3].astype(np.float64).mean(axis=2)
    across, down = np.abs(np.diff(values, axis=1)), np.abs(np.diff(values, axis=0))
    return float(min(np.quantile(across, 0.25), np.quantile(down, 0.25)) / max(float(values.std()), 1.0))
