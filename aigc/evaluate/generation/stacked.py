"""Stacked digits: three random digits as the three channels of one picture, hence 1,000 kinds to be found."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aigc.errors import InvalidInputError
from aigc.evaluate.generation.network import FeatureNetwork

__all__ = ["StackedModes", "count_modes", "stack"]


@dataclass(frozen=True, slots=True)
class StackedModes:
    """Kinds found.

    Attributes:
        modes: Of ``possible``, how many occur.
        possible: classes³.
        kl: KL(generated ‖ uniform) in nats over the kinds; 0 best.
        samples: How many pictures were looked at; both figures depend on it.
    """

    modes: int
    possible: int
    kl: float
    samples: int

    @property
    def floor(self) -> float:
        """What ``kl`` is expected to be of as many uniform draws: (possible - 1) / (2 samples)."""
        return (self.possible - 1) / (2 * self.samples)


def stack(
    pixels: NDArray[np.uint8], labels: NDArray[np.int64], n: int, seed: int = 0
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """(n, height, width, 3) uint8 and (n, 3) int64: each channel another picture, drawn with replacement.

    Stacked MNIST of Metz et al. (2017, unrolled GAN), Srivastava et al. (2017) and later papers.

    Args:
        pixels: (m, height, width, 1) uint8.
        labels: (m,) int64.
        n: Pictures to make.
        seed: Of the draws.
    """
    if pixels.ndim != 4 or pixels.shape[3] != 1 or not len(pixels):
        raise InvalidInputError(f"pixels of shape {pixels.shape}: pictures of one channel are stacked", field="pixels")
    rows = np.random.default_rng(seed).integers(len(pixels), size=(n, 3))
    return np.concatenate([pixels[rows[:, c]] for c in range(3)], axis=3), labels[rows]


def count_modes(network: FeatureNetwork, pixels: NDArray[np.uint8]) -> StackedModes:
    """Kinds among stacked pictures: each channel's most probable class, by argmax.

    Args:
        network: Knows the classes of one channel.
        pixels: (n, height, width, 3) uint8; 26,000 in the papers.
    """
    if pixels.ndim != 4 or pixels.shape[3] != 3 or not len(pixels):
        raise InvalidInputError(f"pixels of shape {pixels.shape}: three channels are needed", field="pixels")
    count = len(network.classes)
    kinds = np.zeros(len(pixels), np.int64)
    for channel in range(3):
        kinds = kinds * count + network.probabilities(pixels[..., channel : channel + 1]).argmax(axis=1)
    shares = np.bincount(kinds, minlength=count**3) / len(pixels)
    there = shares[shares > 0]
    return StackedModes(len(there), count**3, float((there * np.log(there * count**3)).sum()), len(pixels))
