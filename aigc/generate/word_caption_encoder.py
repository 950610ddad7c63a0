"""The network that makes a vector of a caption's pieces and of its words' vectors."""

from __future__ import annotations

import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from aigc.generate.captions import CaptionEncoder

__all__ = ["WordCaptionEncoder"]


class WordCaptionEncoder(CaptionEncoder):
    """Pieces and a feature of word vectors → a unit vector: both parts of length 1 are added, then two layers follow.

    A part that says nothing (no piece, no known word) is zero, and the other is all there is.
    """

    def __init__(self, size: int, feature_size: int) -> None:
        """Args: size: of the vector; feature_size: of :class:`aigc.generate.caption_meaning.CaptionMeaning`'s."""
        super().__init__(size)
        self.translate = nn.Linear(feature_size, self.table.embedding_dim, bias=False)

    def forward(self, pieces: Tensor, features: Tensor | None = None) -> Tensor:
        """(B, size) float32 of (B, T) int64 and (B, feature_size) float32."""
        x = F.normalize(self.mixed(pieces).float(), dim=1)  # (B, 192)
        if features is not None:
            x = x + F.normalize(self.translate(features).float(), dim=1)
        return self.read(x)
