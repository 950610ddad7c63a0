"""Rows of numbers → class probabilities: logistic regression over Nyström features of a Gaussian kernel."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from aigc.features.saved import read_arrays, write_arrays

__all__ = ["KernelClassifier"]

_COMPONENTS = 288
_LANDMARKS = 1500
_FIT_COMPONENTS_ON = 10_000
_BATCH = 4096


class KernelClassifier:
    """A smooth classifier whose parameters are six arrays.

    The Nyström method (Williams and Seeger 2001) gives a kernel machine's boundaries at a linear machine's cost.
    """

    def __init__(self, arrays: dict[str, NDArray[np.float32]]) -> None:
        """Args: arrays: what :meth:`fit` made or :meth:`load` read."""
        self._arrays = arrays

    @classmethod
    def fit(
        cls, rows: NDArray[np.float32], labels: NDArray[np.int64], classes: int, *, standardise: bool, seed: int = 0
    ) -> KernelClassifier:
        """Fit.

        Args:
            rows: (n, d) float32.
            labels: (n,) int64 in [0, classes); each class occurs.
            classes: How many.
            standardise: Give each column a spread of 1 first.
            seed: Of the choice of landmarks.
        """
        # Slow to import, and needed for fitting only.
        from sklearn.decomposition import PCA
        from sklearn.kernel_approximation import Nystroem
        from sklearn.linear_model import LogisticRegression

        rng = np.random.default_rng(seed)
        sample = rows[rng.permutation(len(rows))[:_FIT_COMPONENTS_ON]]
        mean = sample.mean(axis=0)
        spread = np.maximum(sample.std(axis=0), 1e-6) if standardise else np.ones(rows.shape[1], np.float32)
        size = max(1, min(_COMPONENTS, *sample.shape))
        pca = PCA(size, svd_solver="randomized", random_state=seed).fit((sample - mean) / spread)
        basis = (pca.components_.T / spread[:, None]).astype(np.float32)
        reduced = (rows - mean) @ basis
        # Two rows lie about √(2 · total variance) apart; there the kernel falls to e^-2.
        gamma = 1 / max(float(reduced.var(axis=0).sum()), 1e-9)
        kernel = Nystroem(gamma=gamma, n_components=min(_LANDMARKS, len(rows)), random_state=seed)
        features = kernel.fit(reduced[rng.permutation(len(rows))[:_FIT_COMPONENTS_ON]]).transform(reduced)
        scale = 1 / max(float(features.std(axis=0).mean()), 1e-9)
        machine = LogisticRegression(C=0.3, max_iter=1000).fit(features * scale, labels)
        weights, bias = machine.coef_, machine.intercept_
        if classes == 2:
            weights, bias = np.concatenate([-weights, weights]) / 2, np.concatenate([-bias, bias]) / 2
        projection = kernel.normalization_.T @ (weights.T * scale)
        return cls(
            {
                "mean": mean.astype(np.float32),
                "basis": basis,
                "landmarks": np.asarray(kernel.components_, np.float32),
                "gamma": np.array([gamma], np.float32),
                "projection": projection.astype(np.float32),
                "bias": bias.astype(np.float32),
            }
        )

    def probabilities(self, rows: NDArray[np.float32]) -> NDArray[np.float32]:
        """(n, classes) float32 of (n, d) float32; rows sum to 1."""
        a = self._arrays
        out = np.empty((len(rows), len(a["bias"])), np.float32)
        landmark_norms = (a["landmarks"] ** 2).sum(axis=1)
        for start in range(0, len(rows), _BATCH):
            reduced = (rows[start : start + _BATCH] - a["mean"]) @ a["basis"]
            distances = (reduced**2).sum(axis=1)[:, None] + landmark_norms - 2 * reduced @ a["landmarks"].T
            logits = np.exp(-a["gamma"] * np.maximum(distances, 0)) @ a["projection"] + a["bias"]
            out[start : start + _BATCH] = softmax(logits, axis=1)
        return out

    def save(self, folder: Path) -> None:
        """Write the arrays."""
        write_arrays(folder, self._arrays, {"encoder": "kernel-classifier"})

    @classmethod
    def load(cls, folder: Path) -> KernelClassifier:
        """What :meth:`save` wrote."""
        names = ("mean", "basis", "landmarks", "gamma", "projection", "bias")
        return cls(dict(zip(names, read_arrays(folder, *names), strict=True)))
