"""Picture → embedding: principal components of the pixels."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from aigc.entities import Item
from aigc.features.saved import read_arrays, unit_rows, version_of, write_arrays

__all__ = ["ImageEncoder", "decode_pixels"]

_SIDE = 32
_MAX_PIXELS = 50_000_000
_FIT_ON = 10_000


def decode_pixels(data: bytes) -> NDArray[np.float32] | None:
    """A picture as (32 · 32 · 3,) float32 in [0, 1], transparency over white; None when it cannot be decoded."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(data)) as image:
                if image.width * image.height > _MAX_PIXELS:
                    return None
                rgba = image.convert("RGBA")
        white = Image.new("RGBA", rgba.size, "white")
        flat = Image.alpha_composite(white, rgba).convert("RGB").resize((_SIDE, _SIDE), Image.Resampling.BILINEAR)
        return np.asarray(flat, np.float32).ravel() / np.float32(255)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombWarning, Image.DecompressionBombError):
        # Pillow raises each of these for some kind of broken file.
        return None


class ImageEncoder:
    """PCA (Pearson 1901), whitened a little so that the strongest strokes do not drown the rest."""

    name = "image-pca"

    def __init__(self, mean: NDArray[np.float32], basis: NDArray[np.float32]) -> None:
        """Args: mean: (p,) float32 pixels; basis: (p, embedding_size) float32."""
        self._mean = mean
        self._basis = basis
        self.version = version_of({"mean": mean, "basis": basis}, {})

    @property
    def embedding_size(self) -> int:
        """Length of each embedding."""
        return int(self._basis.shape[1])

    @classmethod
    def fit(cls, pictures: Iterable[bytes], embedding_size: int = 64, seed: int = 0) -> ImageEncoder:
        """Fit on the first pictures that decode, 10,000 at most."""
        # Slow to import, and needed for fitting only.
        from sklearn.decomposition import PCA

        rows: list[NDArray[np.float32]] = []
        for data in pictures:
            pixels = decode_pixels(data)
            if pixels is not None:
                rows.append(pixels)
            if len(rows) == _FIT_ON:
                break
        pixels_count = _SIDE * _SIDE * 3
        basis = np.zeros((pixels_count, embedding_size), np.float32)
        if not rows:
            return cls(np.zeros(pixels_count, np.float32), basis)
        matrix = np.stack(rows)
        size = min(embedding_size, len(rows) - 1)
        mean = matrix.mean(axis=0)
        if size >= 1:
            pca = PCA(size, svd_solver="randomized", random_state=seed).fit(matrix)
            spread = np.sqrt(np.maximum(pca.explained_variance_, 1e-9))
            basis[:, :size] = (pca.components_ / np.sqrt(spread)[:, None]).T
        return cls(mean, basis)

    def encode(self, items: Sequence[Item]) -> NDArray[np.float32]:
        """See :class:`Encoder`."""
        rows = np.zeros((len(items), self.embedding_size), np.float64)
        for i, item in enumerate(items):
            if item.content is None or not item.content.media_type.startswith("image/"):
                continue
            pixels = decode_pixels(item.content.data)
            if pixels is not None:
                rows[i] = (pixels - self._mean).astype(np.float64) @ self._basis
        return unit_rows(rows)

    def encode_text(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Words have no pixels: zeros."""
        return np.zeros((len(texts), self.embedding_size), np.float32)

    def save(self, folder: Path) -> None:
        """See :class:`Encoder`."""
        write_arrays(folder, {"mean": self._mean, "basis": self._basis}, {"encoder": self.name})

    @classmethod
    def load(cls, folder: Path) -> ImageEncoder:
        """What :meth:`save` wrote."""
        mean, basis = read_arrays(folder, "mean", "basis")
        return cls(mean, basis)
