"""What every item–item model gives: for each item its top-K neighbours, in CSR form."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

__all__ = ["ItemItemLists", "ItemItemModel"]


@dataclass(frozen=True, slots=True)
class ItemItemLists:
    """Row i holds the items that a liking of item i speaks for, by falling weight, ties by row.

    Attributes:
        offsets: (n_items+1,) int64.
        items: (e,) uint32 item rows.
        weights: (e,) float32, all above 0 and finite.
    """

    offsets: NDArray[np.int64]
    items: NDArray[np.uint32]
    weights: NDArray[np.float32]

    @property
    def version(self) -> str:
        """12 hexadecimal digits of the SHA-256 of the lists: equal versions give equal answers."""
        digest = hashlib.sha256()
        for array in (self.offsets, self.items, self.weights):
            digest.update(np.ascontiguousarray(array).data)
        return digest.hexdigest()[:12]


class ItemItemModel(Protocol):
    """A recipe that turns interactions into lists."""

    def fit(self, interactions: sparse.csr_matrix) -> ItemItemLists:
        """Train on users × items, float32, entries in (0, 1]."""
        ...

    @property
    def parameters(self) -> Mapping[str, Any]:
        """The values that, with the data, decide the lists."""
        ...
