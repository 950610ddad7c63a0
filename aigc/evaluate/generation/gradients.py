"""An eye that nobody has to train or download: histograms of gradients and colours, projected to few numbers."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from aigc.errors import InvalidInputError
from aigc.features.picture_features import PICTURE_FEATURES, picture_features
from aigc.prepare.picture import encode_png

__all__ = ["GradientEye"]

_SIZE = 64
_SEED = 20_261_125


class GradientEye:
    """A :class:`aigc.evaluate.generation.network.FeatureNetwork` that knows no classes and is the same everywhere.

    :mod:`aigc.features.picture_features`, then a Gaussian random projection to 64 dimensions, which keeps distances to
    about a tenth (Johnson and Lindenstrauss 1984) and makes Fréchet's distance possible with a few hundred pictures.
    It tells strokes from noise and a worse generator from a better one; it is no substitute for a network that knows
    what is shown, and its figures compare with its own alone.
    """

    name: str = "gradients-1"
    classes: Sequence[str] = ()
    test_accuracy: float = float("nan")

    def __init__(self) -> None:
        """Draw the projection, always the same one."""
        rng = np.random.default_rng(_SEED)
        self._projection = rng.standard_normal((PICTURE_FEATURES, _SIZE)).astype(np.float32) / np.float32(_SIZE**0.5)
        self.sha256 = hashlib.sha256(self._projection.tobytes()).hexdigest()

    def features(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """(n, 64) float32; transparency is seen over white."""
        rows = picture_features([encode_png(p) for p in pixels])[0]
        found: NDArray[np.float32] = rows @ self._projection
        return found

    def probabilities(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """It knows no classes."""
        del pixels
        raise InvalidInputError("this eye knows no classes; measure with a network that was trained on them")
