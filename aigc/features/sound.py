"""Recording → embedding: principal components of its log-mel statistics."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from aigc.entities import Item
from aigc.features.saved import read_arrays, unit_rows, version_of, write_arrays
from aigc.features.sound_features import SOUND_FEATURES, decode_features

__all__ = ["SoundEncoder"]

_FIT_ON = 10_000


class SoundEncoder:
    """PCA (Pearson 1901) of standardised features."""

    name = "sound-mel"

    def __init__(self, mean: NDArray[np.float32], basis: NDArray[np.float32]) -> None:
        """Args: mean: (SOUND_FEATURES,) float32; basis: (SOUND_FEATURES, embedding_size) float32."""
        self._mean = mean
        self._basis = basis
        self.version = version_of({"mean": mean, "basis": basis}, {"encoder": self.name})

    @property
    def embedding_size(self) -> int:
        """Length of each embedding."""
        return int(self._basis.shape[1])

    @classmethod
    def fit(cls, recordings: Iterable[bytes], embedding_size: int = 64, seed: int = 0) -> SoundEncoder:
        """Fit on the first recordings that decode, 10,000 at most."""
        # Slow to import, and needed for fitting only.
        from sklearn.decomposition import PCA

        rows: list[NDArray[np.float32]] = []
        for data in recordings:
            features = decode_features(data)
            if features is not None:
                rows.append(features)
            if len(rows) == _FIT_ON:
                break
        basis = np.zeros((SOUND_FEATURES, embedding_size), np.float32)
        if not rows:
            return cls(np.zeros(SOUND_FEATURES, np.float32), basis)
        matrix = np.stack(rows)
        spread = np.maximum(matrix.std(axis=0), 1e-6)
        size = min(embedding_size, len(rows) - 1, SOUND_FEATURES)
        if size >= 1:
            pca = PCA(size, svd_solver="randomized", random_state=seed).fit((matrix - matrix.mean(axis=0)) / spread)
            basis[:, :size] = pca.components_.T / spread[:, None]
        return cls(matrix.mean(axis=0), basis)

    def encode(self, items: Sequence[Item]) -> NDArray[np.float32]:
        """See :class:`Encoder`."""
        rows = np.zeros((len(items), self.embedding_size), np.float64)
        for i, item in enumerate(items):
            if item.content is None or not item.content.media_type.startswith("audio/"):
                continue
            features = decode_features(item.content.data)
            if features is not None:
                rows[i] = (features - self._mean).astype(np.float64) @ self._basis
        return unit_rows(rows)

    def encode_text(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Words have no sound here: zeros."""
        return np.zeros((len(texts), self.embedding_size), np.float32)

    def save(self, folder: Path) -> None:
        """See :class:`Encoder`."""
        write_arrays(folder, {"mean": self._mean, "basis": self._basis}, {"encoder": self.name})

    @classmethod
    def load(cls, folder: Path) -> SoundEncoder:
        """What :meth:`save` wrote."""
        mean, basis = read_arrays(folder, "mean", "basis")
        return cls(mean, basis)
