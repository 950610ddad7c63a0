"""Classes of generated pictures: are they as many as the real ones, and are they what was asked for."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aigc.errors import InvalidInputError

__all__ = ["ClassBalance", "class_balance", "label_accuracy"]


@dataclass(frozen=True, slots=True)
class ClassBalance:
    """How the predicted classes of generated pictures spread.

    Attributes:
        shares: (classes,) float64 of each predicted class, summing to 1.
        entropy: Of the shares ÷ log(classes): 1 when all are as many, 0 when there is only one.
        distance: Total variation distance to the real shares, in [0, 1]; 0 best.
    """

    shares: NDArray[np.float64]
    entropy: float
    distance: float


def class_balance(probabilities: NDArray[np.float32], real: NDArray[np.float64]) -> ClassBalance:
    """Of the most probable class of each picture.

    Args:
        probabilities: (n, classes) float32.
        real: (classes,) float64 shares among real pictures.
    """
    _check(probabilities)
    if real.shape != (probabilities.shape[1],):
        raise InvalidInputError(f"{real.shape} shares for {probabilities.shape[1]} classes", field="real")
    shares = np.bincount(probabilities.argmax(axis=1), minlength=probabilities.shape[1]) / len(probabilities)
    there = shares[shares > 0]
    entropy = -float((there * np.log(there)).sum()) / np.log(max(2, len(shares)))
    return ClassBalance(shares, entropy + 0.0, float(np.abs(shares - real / real.sum()).sum() / 2))


def label_accuracy(probabilities: NDArray[np.float32], asked: NDArray[np.int64]) -> float:
    """Share of pictures whose most probable class is the one that was asked for.

    Args:
        probabilities: (n, classes) float32.
        asked: (n,) int64.
    """
    _check(probabilities)
    if asked.shape != (len(probabilities),):
        raise InvalidInputError(f"{asked.shape} labels for {len(probabilities)} pictures", field="asked")
    return float((probabilities.argmax(axis=1) == asked).mean())


def _check(probabilities: NDArray[np.float32]) -> None:
    if probabilities.ndim != 2 or not len(probabilities):
        raise InvalidInputError(f"probabilities of shape {probabilities.shape}: no picture", field="probabilities")
