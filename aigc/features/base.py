"""The one interface behind which every encoder stands."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from aigc.entities import Item

__all__ = ["Encoder"]


class Encoder(Protocol):
    """Items → embeddings. Fitted once on a catalogue, saved with the snapshot, replaced only with it.

    Attributes:
        name: What it is, such as ``text-svd``.
        version: A hash of its fitted parameters: equal versions give equal embeddings.
        embedding_size: Length of each embedding.
    """

    @property
    def name(self) -> str:
        """See the class."""
        ...

    @property
    def version(self) -> str:
        """See the class."""
        ...

    @property
    def embedding_size(self) -> int:
        """See the class."""
        ...

    def encode(self, items: Sequence[Item]) -> NDArray[np.float32]:
        """(len(items), embedding_size) float32, rows of unit length; a row of zeros where there is nothing to encode.

        An item that carries a broken picture gets zeros for it, never an error.
        """
        ...

    def encode_text(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Queries in words, in the same space as :meth:`encode`."""
        ...

    def save(self, folder: Path) -> None:
        """Write ``.npy`` and JSON files only; ``folder`` exists and is empty."""
        ...
