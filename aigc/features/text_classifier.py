"""Text → class probabilities: logistic regression over TF-IDF of words, Chinese n-grams and pieces of words."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.special import softmax

from aigc.features.saved import read_arrays, read_json, write_arrays
from aigc.features.text import tokens

__all__ = ["TextClassifier"]

_MAX_FEATURES = 60_000
_MAX_CHARACTERS = 4000
_WORD = re.compile(r"[a-z]{4,}")


def _pieces(text: str) -> list[str]:
    """Words and Chinese n-grams, and the 4-letter pieces of longer words, so that ``running`` is near ``runner``."""
    text = text[:_MAX_CHARACTERS].lower()
    pieces = [f"~{word[i : i + 4]}" for word in _WORD.findall(text) for i in range(len(word) - 3)]
    return tokens(text) + pieces


class TextClassifier:
    """A linear classifier; a text without a known word has the classes' own shares.

    Attributes:
        shares: (classes,) float32, each class's share of the texts that were learned from.
    """

    def __init__(
        self,
        vocabulary: dict[str, int],
        idf: NDArray[np.float32],
        weights: NDArray[np.float32],
        bias: NDArray[np.float32],
        shares: NDArray[np.float32],
    ) -> None:
        """Wire.

        Args:
            vocabulary: Token → column.
            idf: (v,) float32.
            weights: (v, classes) float32.
            bias: (classes,) float32.
            shares: (classes,) float32, each class's share of the texts that were learned from.
        """
        self._vocabulary = vocabulary
        self._idf = idf
        self._weights = weights
        self._bias = bias
        self.shares = shares

    @classmethod
    def fit(cls, texts: Sequence[str], labels: NDArray[np.int64], classes: int) -> TextClassifier:
        """Fit; ``labels`` are (n,) int64 in [0, classes), and each class occurs."""
        # Slow to import, and needed for fitting only.
        from sklearn.feature_extraction.text import TfidfVectorizer
        from sklearn.linear_model import LogisticRegression

        shares = (np.bincount(labels, minlength=classes) / max(len(labels), 1)).astype(np.float32)
        vectorizer = TfidfVectorizer(
            analyzer=_pieces, max_features=_MAX_FEATURES, sublinear_tf=True, min_df=2 if len(texts) > 2000 else 1
        )
        try:
            matrix = vectorizer.fit_transform(texts)
        except ValueError:
            # No text has a word.
            nothing = np.empty((0, classes), np.float32)
            return cls({}, np.empty(0, np.float32), nothing, np.log(shares), shares)
        machine = LogisticRegression(C=10.0, max_iter=300, tol=1e-3).fit(matrix, labels)
        weights, bias = machine.coef_, machine.intercept_
        if classes == 2:
            weights, bias = np.concatenate([-weights, weights]) / 2, np.concatenate([-bias, bias]) / 2
        vocabulary = {token: int(column) for token, column in vectorizer.vocabulary_.items()}
        return cls(
            vocabulary,
            vectorizer.idf_.astype(np.float32),
            weights.T.astype(np.float32),
            bias.astype(np.float32),
            shares,
        )

    def probabilities(self, texts: Sequence[str]) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """((n, classes) float32, (n,) bool): rows sum to 1; False where a text has no known word."""
        indptr, columns, counts = [0], list[int](), list[int]()
        for text in texts:
            row: dict[int, int] = {}
            for token in _pieces(text):
                column = self._vocabulary.get(token)
                if column is not None:
                    row[column] = row.get(column, 0) + 1
            columns += row.keys()
            counts += row.values()
            indptr.append(len(columns))
        place = np.array(columns, np.int64)
        values = (1 + np.log(np.array(counts, np.float64))) * self._idf[place] if columns else np.empty(0)
        matrix = sparse.csr_matrix((values, place, indptr), shape=(len(texts), len(self._vocabulary)))
        norms = np.sqrt(np.asarray(matrix.multiply(matrix).sum(axis=1))).ravel()
        logits = np.asarray(matrix @ self._weights.astype(np.float64)) / np.maximum(norms, 1e-9)[:, None] + self._bias
        return softmax(logits, axis=1).astype(np.float32), norms > 0

    def save(self, folder: Path) -> None:
        """Write the arrays and the vocabulary."""
        arrays = {"idf": self._idf, "weights": self._weights, "bias": self._bias, "shares": self.shares}
        write_arrays(folder, arrays, {"encoder": "text-classifier", "vocabulary": self._vocabulary})

    @classmethod
    def load(cls, folder: Path) -> TextClassifier:
        """What :meth:`save` wrote."""
        idf, weights, bias, shares = read_arrays(folder, "idf", "weights", "bias", "shares")
        return cls(read_json(folder)["vocabulary"], idf, weights, bias, shares)
