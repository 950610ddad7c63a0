"""Near-duplicates: pairs, and the groups that they make."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse.csgraph import connected_components

__all__ = ["DuplicatePair", "first_of_group"]


@dataclass(frozen=True, slots=True)
class DuplicatePair:
    """Two rows, ``first`` < ``second``, and how alike they are, in (0, 1]."""

    first: int
    second: int
    similarity: float


def first_of_group(pairs: Iterable[DuplicatePair], n: int) -> NDArray[np.int64]:
    """(n,) int64: for each of n rows the first row of its group, itself where it has no duplicate before it."""
    rows = np.array([(p.first, p.second) for p in pairs], np.int64).reshape(-1, 2)
    graph = sparse.coo_matrix((np.ones(len(rows), np.int8), (rows[:, 0], rows[:, 1])), shape=(n, n))
    _, labels = connected_components(graph, directed=False)
    first: NDArray[np.int64] = np.full(labels.max(initial=-1) + 1, n, np.int64)
    np.minimum.at(first, labels, np.arange(n))
    return np.asarray(first[labels], np.int64)
