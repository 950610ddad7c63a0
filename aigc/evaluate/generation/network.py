"""What sees pictures in place of a person: a network with features, and class probabilities where it knows classes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

__all__ = ["FeatureNetwork"]


class FeatureNetwork(Protocol):
    """A trained network that figures are measured through; they compare only under the same one.

    Attributes:
        name: What it is, for people.
        sha256: Of its file of weights, hexadecimal: printed with every figure.
        classes: Names; empty when it knows none.
        test_accuracy: Of its classes on held-out real pictures; NaN when it knows none.
    """

    name: str
    sha256: str
    classes: Sequence[str]
    test_accuracy: float

    def features(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """(n, d) float32 of (n, height, width, channels) uint8."""
        ...

    def probabilities(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """(n, classes) float32 of (n, height, width, channels) uint8; rows sum to 1.

        Raises:
            InvalidInputError: It knows no classes.
        """
        ...
