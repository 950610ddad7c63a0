"""What a caption means by its words' vectors: a feature that is fixed, and the same for wordings that mean the same."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from aigc.errors import CorruptDataError
from aigc.generate.caption_words import caption_words
from aigc.generate.captions import BUCKETS, caption_pieces, pad_pieces
from aigc.generate.word_vectors import WordVectors

__all__ = ["MAX_WORDS", "CaptionMeaning", "read_captions"]

MAX_WORDS = 24


class CaptionMeaning:
    """Captions → the mean of their words' vectors, rare words counting more; 0 where no word is known.

    A word's weight is log((1 + captions) / (1 + captions with it)), Spärck Jones's (1972) with nothing divided by 0, so
    that a word that training never saw counts most.
    """

    def __init__(self, table: WordVectors, weights: Tensor, seen: Tensor) -> None:
        """Args: table: of n words; weights: (n,) float32; seen: (buckets,) bool, the pieces that training has."""
        self.table, self.weights, self.seen = table, weights, seen
        self._rows = {word: row for row, word in enumerate(table.words, start=1)}

    @classmethod
    def fitted(cls, table: WordVectors, captions: Sequence[str]) -> CaptionMeaning:
        """With weights by how many of the ``captions``, those of training, have each word."""
        known = frozenset(table.words)
        seen = Counter(word for caption in captions for word in caption_words(caption, known))
        counts = torch.tensor([seen.get(word, 0) for word in table.words], dtype=torch.float32)
        pieces = sorted({row for caption in captions for row in caption_pieces(caption)})
        there = torch.zeros(BUCKETS, dtype=torch.bool)
        there[pieces] = True
        return cls(table, ((1 + len(captions)) / (1 + counts)).log(), there)

    @property
    def size(self) -> int:
        """Of a feature."""
        return int(self.table.vectors.shape[1])

    def pieces(self, caption: str) -> list[int]:
        """Rows of a caption's pieces, without those that training never saw: of them the words' vectors must speak."""
        return [row for row in caption_pieces(caption) if self.seen[row]]

    def words(self, caption: str) -> list[int]:
        """Rows in [1, n] of a caption's known words, 24 at most; 0 is left for padding."""
        return [self._rows[word] for word in caption_words(caption, self._rows)][:MAX_WORDS]

    def features(self, rows: Sequence[Sequence[int]]) -> Tensor:
        """(B, size) float32 of each caption's rows: of length 1, or zeros for a caption without any."""
        padded = torch.zeros(len(rows), MAX_WORDS, dtype=torch.int64)
        for i, row in enumerate(rows):
            padded[i, : len(row)] = torch.tensor(row, dtype=torch.int64)
        at = (padded - 1).clamp(min=0)
        weights = self.weights[at] * (padded > 0)  # (B, 24)
        return F.normalize((self.table.vectors[at].float() * weights[..., None]).sum(dim=1), dim=1)

    def tensors(self) -> dict[str, Tensor]:
        """As they are kept with a model: the words as UTF-8, one a line."""
        text = torch.frombuffer(bytearray("\n".join(self.table.words), "utf-8"), dtype=torch.uint8)
        return {
            "words.text": text,
            "words.vectors": self.table.vectors,
            "words.weights": self.weights,
            "words.pieces": self.seen,
        }

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, Tensor], path: Path) -> CaptionMeaning:
        """What :meth:`tensors` gave.

        Args:
            tensors: By name; others among them do not count.
            path: Of the file, for errors.

        Raises:
            CorruptDataError: One is missing or does not fit the others.
        """
        try:
            words = tuple(bytes(tensors["words.text"].numpy()).decode("utf-8").split("\n"))
            vectors, weights, seen = (tensors[f"words.{name}"] for name in ("vectors", "weights", "pieces"))
            fits = (
                vectors.ndim == 2
                and len(vectors) == len(words)
                and weights.shape == (len(words),)
                and seen.shape == (BUCKETS,)
            )
            if not (fits and torch.isfinite(vectors).all() and torch.isfinite(weights).all()):
                raise ValueError(f"{len(words)} words, vectors {tuple(vectors.shape)}, weights {tuple(weights.shape)}")
        except (KeyError, TypeError, ValueError) as error:
            raise CorruptDataError(
                f"{path} lacks its words' vectors, or they do not fit each other ({error}); train it again",
                reason="MODEL_CORRUPT",
            ) from error
        return cls(WordVectors(words, vectors), weights, seen)


def read_captions(captions: Sequence[str], meaning: CaptionMeaning | None) -> tuple[Tensor, Tensor | None]:
    """(B, 48) int64 pieces and, with words' vectors, (B, size) float32 features: what an encoder is called with."""
    if meaning is None:
        return pad_pieces([caption_pieces(c) for c in captions]), None
    return pad_pieces([meaning.pieces(c) for c in captions]), meaning.features([meaning.words(c) for c in captions])
