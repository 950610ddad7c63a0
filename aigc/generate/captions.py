"""Captions as numbers: pieces of Chinese and English texts, and the network that makes a vector of them."""

from __future__ import annotations

import re
import zlib
from collections.abc import Sequence

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

__all__ = ["BUCKETS", "MAX_PIECES", "CaptionEncoder", "caption_pieces", "pad_pieces"]

MAX_PIECES = 48
BUCKETS = 1 << 14
_WIDTH = 192
_WORDS = re.compile(r"[^\W\d_一-鿿]+|\d+|[一-鿿]+|[^\w\s,，、。.;；·]")


def caption_pieces(caption: str, seed: int = 0) -> list[int]:
    """Rows in [1, buckets) of a caption's pieces, the same in every process: hashes instead of a vocabulary.

    Of words of letters the word and its trigrams, so that ``smiling`` and ``smile`` meet; of Chinese each character and
    each pair. Row 0 is left for padding. At most :data:`MAX_PIECES` different ones, in order.

    Args:
        caption: Any text.
        seed: Another seed, other hashes: for a judge that must not share this model's collisions.
    """
    pieces: dict[str, None] = {}
    for word in _WORDS.findall(caption.lower()):
        if "一" <= word[0] <= "鿿":
            found = [*word, *(word[i : i + 2] for i in range(len(word) - 1))]
        else:
            ends = f"^{word}$"
            found = [f"w{word}", *(ends[i : i + 3] for i in range(len(ends) - 2))]
        pieces |= dict.fromkeys(found)
    rows = [zlib.crc32(piece.encode(), seed) % (BUCKETS - 1) + 1 for piece in pieces]
    return list(dict.fromkeys(rows))[:MAX_PIECES]


def pad_pieces(rows: Sequence[Sequence[int]]) -> Tensor:
    """(n, 48) int64, filled up with 0."""
    out = torch.zeros(len(rows), MAX_PIECES, dtype=torch.int64)
    for i, row in enumerate(rows):
        out[i, : len(row)] = torch.tensor(row, dtype=torch.int64)
    return out


class CaptionEncoder(nn.Module):
    """Pieces → a unit vector: a weighted mean of their embeddings, then two layers.

    The weight of a piece is learned, so that ``face`` counts for less than ``vomiting``. Chinese and English come to
    lie together because both are captions of one picture.
    """

    def __init__(self, size: int) -> None:
        """Args: size: of the vector."""
        super().__init__()
        self.table = nn.Embedding(BUCKETS, _WIDTH, padding_idx=0)
        self.weigh = nn.Embedding(BUCKETS, 1, padding_idx=0)
        # Near nothing: a piece that training never saw then says next to nothing, instead of something at random.
        nn.init.normal_(self.table.weight, std=0.005)
        nn.init.zeros_(self.weigh.weight)
        self.first = nn.Linear(_WIDTH, 2 * size)
        self.last = nn.Linear(2 * size, size)

    def forward(self, pieces: Tensor, features: Tensor | None = None) -> Tensor:
        """(B, size) float32 of (B, T) int64; ``features`` are for encoders that read more than pieces."""
        del features
        return self.read(self.mixed(pieces))

    def mixed(self, pieces: Tensor) -> Tensor:
        """(B, 192) of (B, T) int64; a caption without pieces is looked at as one unknown piece."""
        there = (pieces > 0).float()  # (B, T)
        there[:, 0] = 1
        weights = (self.weigh(pieces)[..., 0].float() + there.log()).softmax(dim=1)  # (B, T)
        mixed: Tensor = (self.table(pieces) * weights[..., None]).sum(dim=1)
        return mixed

    def read(self, x: Tensor) -> Tensor:
        """(B, size) float32 of length 1, of (B, 192)."""
        # The mean of many pieces is shorter than one piece: only its direction says something.
        x = F.normalize(x.float(), dim=1) * _WIDTH**0.5
        x = self.last(F.gelu(self.first(x)))
        return F.normalize(x.float(), dim=1)
