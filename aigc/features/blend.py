"""Several modalities side by side in one embedding."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from aigc.entities import Item
from aigc.features.base import Encoder
from aigc.features.saved import unit_rows

__all__ = ["BlendedEncoder"]


class BlendedEncoder:
    """A block for each modality, scaled by the root of its weight; a missing modality is a block of zeros.

    The cosine of two items that have every block is then the weighted mean of the cosines of the blocks.
    """

    name = "blend"

    def __init__(self, parts: Sequence[tuple[str, float, Encoder]]) -> None:
        """Args: parts: folder name, weight above 0 and encoder of each block."""
        self.parts = tuple(parts)
        described = json.dumps([(name, weight, encoder.version) for name, weight, encoder in self.parts])
        self.version = hashlib.sha256(described.encode()).hexdigest()[:12]

    @property
    def embedding_size(self) -> int:
        """Length of each embedding."""
        return sum(encoder.embedding_size for _, _, encoder in self.parts)

    def weighed(self, weights: Sequence[float]) -> BlendedEncoder:
        """The same encoders with other weights, one a part."""
        return BlendedEncoder([(name, w, encoder) for (name, _, encoder), w in zip(self.parts, weights, strict=True)])

    def blocks(self, embeddings: NDArray[np.float32]) -> list[NDArray[np.float32]]:
        """(n, size) float32 unit rows of each part, out of the (n, embedding_size) that :meth:`encode` gave."""
        ends = np.cumsum([encoder.embedding_size for _, _, encoder in self.parts])
        return [unit_rows(block) for block in np.split(embeddings, ends[:-1], axis=1)]

    def encode(self, items: Sequence[Item]) -> NDArray[np.float32]:
        """See :class:`Encoder`."""
        return self.join([encoder.encode(items) for _, _, encoder in self.parts])

    def encode_text(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """See :class:`Encoder`."""
        return self.join([encoder.encode_text(texts) for _, _, encoder in self.parts])

    def save(self, folder: Path) -> None:
        """See :class:`Encoder`."""
        settings = {"encoder": self.name, "parts": [[name, weight] for name, weight, _ in self.parts]}
        (folder / "encoder.json").write_text(json.dumps(settings), encoding="utf-8")
        for name, _, encoder in self.parts:
            (folder / name).mkdir()
            encoder.save(folder / name)

    def join(self, blocks: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
        """(n, embedding_size) float32 of (n, size) unit rows a part."""
        scaled = [block * np.sqrt(weight) for block, (_, weight, _) in zip(blocks, self.parts, strict=True)]
        return unit_rows(np.concatenate(scaled, axis=1))
