"""Text → embedding: TF-IDF over words and Chinese character n-grams, reduced by truncated SVD and projection."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from aigc.entities import Item
from aigc.features.saved import read_arrays, read_json, unit_rows, version_of, write_arrays
from aigc.prepare.chinese import simplified

__all__ = ["TextEncoder", "item_words", "tokens"]

_MAX_FEATURES = 50_000
_MAX_CHARACTERS = 20_000
# What the words themselves weigh beside the topics: the topics hold about half of a text's length.
_WORDS = 0.6
# A run of Han characters, or a run of letters and digits of any other script.
_YEAR = re.compile(r"(18|19|20)\d\d")
_RUN = re.compile(r"[\u3400-\u9fff\uf900-\ufaff]+|[^\W_\u3400-\u9fff\uf900-\ufaff]+")


def tokens(text: str) -> list[str]:
    """Lower-case words; Chinese, which has no spaces, as single characters, pairs and triples, simplified.

    Pairs and triples serve better than a segmenter's words: see docs/results.md.

    Bare years are left out: they stand in so many titles that films of one year would pass for films of one kind.
    """
    found: list[str] = []
    for run in _RUN.findall(simplified(text[:_MAX_CHARACTERS].lower())):
        if "\u3400" <= run[0] <= "\u9fff" or "\uf900" <= run[0] <= "\ufaff":
            found += [run[i : i + n] for n in (1, 2, 3) for i in range(len(run) - n + 1)]
        elif not _YEAR.fullmatch(run):
            found.append(run)
    return found


def item_words(item: Item) -> str:
    """Everything about an item that can be read; categories and tags count as words too."""
    return " \n ".join([item.title, item.title, item.text, *item.categories, *item.tags, item.author])


class TextEncoder:
    """TF-IDF with sublinear counts, seen in two ways side by side.

    Half of the embedding is latent semantic analysis (Deerwester et al. 1990), the leading directions, which knows
    topics and forgets rare words; the other half is a random projection (Johnson and Lindenstrauss 1984), which keeps
    the cosines of the words themselves, so that a title is found by its own words.
    """

    name = "text-svd"

    def __init__(self, vocabulary: dict[str, int], idf: NDArray[np.float32], basis: NDArray[np.float32]) -> None:
        """Args: vocabulary: token → column; idf: (v,) float32; basis: (v, embedding_size) float32."""
        self._vocabulary = vocabulary
        self._idf = idf
        self._basis = basis
        self.version = version_of({"idf": idf, "basis": basis}, {"vocabulary": vocabulary})

    @property
    def embedding_size(self) -> int:
        """Length of each embedding."""
        return int(self._basis.shape[1])

    @classmethod
    def fit(cls, items: Sequence[Item], embedding_size: int = 64, seed: int = 0) -> TextEncoder:
        """Fit on a catalogue; one too small for ``embedding_size`` directions leaves the rest at zero."""
        # Slow to import, and needed for fitting only.
        from sklearn.decomposition import TruncatedSVD
        from sklearn.feature_extraction.text import TfidfVectorizer

        documents = [item_words(item) for item in items]
        vectorizer = TfidfVectorizer(
            analyzer=tokens, max_features=_MAX_FEATURES, min_df=2 if len(items) > 1000 else 1, sublinear_tf=True
        )
        try:
            matrix = vectorizer.fit_transform(documents)
        except ValueError:
            # No document has a word.
            return cls({}, np.empty(0, np.float32), np.zeros((0, embedding_size), np.float32))
        topics = (embedding_size + 1) // 2
        size = min(topics, matrix.shape[1] - 1, matrix.shape[0] - 1)
        basis = np.zeros((matrix.shape[1], embedding_size), np.float32)
        if embedding_size > topics:
            width = embedding_size - topics
            noise = np.random.default_rng(seed).normal(size=(matrix.shape[1], width))
            basis[:, topics:] = noise * (_WORDS / np.sqrt(width))
        if size >= 1:
            basis[:, :size] = TruncatedSVD(size, random_state=seed, n_iter=4).fit(matrix).components_.T
        else:
            # One document, or one word: the words themselves are the only direction there is.
            basis[:, 0] = np.asarray(matrix.sum(axis=0)).ravel() / matrix.sum()
        vocabulary = {token: int(column) for token, column in vectorizer.vocabulary_.items()}
        return cls(vocabulary, vectorizer.idf_.astype(np.float32), basis)

    def encode(self, items: Sequence[Item]) -> NDArray[np.float32]:
        """See :class:`Encoder`."""
        return self.encode_text([item_words(item) for item in items])

    def encode_text(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """See :class:`Encoder`."""
        indptr: list[int] = [0]
        indices: list[int] = []
        counts: list[int] = []
        for text in texts:
            row: dict[int, int] = {}
            for token in tokens(text):
                column = self._vocabulary.get(token)
                if column is not None:
                    row[column] = row.get(column, 0) + 1
            indices += row.keys()
            counts += row.values()
            indptr.append(len(indices))
        columns = np.array(indices, np.int64)
        weights = (1 + np.log(np.array(counts, np.float64))) * self._idf[columns] if indices else np.empty(0)
        matrix = sparse.csr_matrix((weights, columns, indptr), shape=(len(texts), len(self._vocabulary)))
        return unit_rows(np.asarray(matrix @ self._basis.astype(np.float64)))

    def save(self, folder: Path) -> None:
        """See :class:`Encoder`."""
        write_arrays(
            folder, {"idf": self._idf, "basis": self._basis}, {"encoder": self.name, "vocabulary": self._vocabulary}
        )

    @classmethod
    def load(cls, folder: Path) -> TextEncoder:
        """What :meth:`save` wrote."""
        idf, basis = read_arrays(folder, "idf", "basis")
        return cls(read_json(folder)["vocabulary"], idf, basis)
