"""Nearest embeddings: an exact scan for small catalogues, a FAISS graph for large ones."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import faiss
import numpy as np
from numpy.typing import NDArray

from aigc.errors import CorruptDataError
from aigc.kernel import exact_search

__all__ = ["GRAPH_THRESHOLD", "VectorIndex", "build_neighbours"]

GRAPH_THRESHOLD = 50_000
"""From this many items the graph is built: below it the exact scan answers one query sooner."""

_FILE = "items.faiss"
_LINKS = 24
_BREADTH = 96


class VectorIndex:
    """Searches the embeddings of a snapshot by inner product; immutable, safe from many threads."""

    def __init__(self, embeddings: NDArray[np.float32], graph: Any) -> None:
        """Args: embeddings: (n, d) float32 of unit rows; graph: a FAISS index over the same rows, or None."""
        self._embeddings = embeddings
        self._graph = graph

    @classmethod
    def build(cls, embeddings: NDArray[np.float32], folder: Path, *, threshold: int = GRAPH_THRESHOLD) -> None:
        """Write the graph for ``embeddings`` into ``folder``; nothing is written below ``threshold`` rows."""
        n, d = embeddings.shape
        if n >= threshold:
            graph: Any = faiss.IndexHNSWFlat(d, _LINKS, faiss.METRIC_INNER_PRODUCT)
            graph.hnsw.efConstruction = _BREADTH
            graph.add(embeddings)
            faiss.write_index(graph, str(folder / _FILE))

    @classmethod
    def open(cls, embeddings: NDArray[np.float32], folder: Path) -> VectorIndex:
        """Open what :meth:`build` wrote.

        Raises:
            CorruptDataError: The graph is of another size or dimension than the embeddings.
        """
        path = folder / _FILE
        if not path.exists():
            return cls(embeddings, None)
        graph: Any = faiss.read_index(str(path), faiss.IO_FLAG_MMAP_IFC)
        if (graph.ntotal, graph.d) != embeddings.shape:
            raise CorruptDataError(
                f"{path} holds {graph.ntotal} vectors of {graph.d} dimensions, the snapshot's embeddings are "
                f"{embeddings.shape[0]} × {embeddings.shape[1]}; build a new snapshot with `aigc train`",
                reason="SNAPSHOT_CORRUPT",
            )
        graph.hnsw.efSearch = _BREADTH
        return cls(embeddings, graph)

    def search(self, queries: NDArray[np.float32], k: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """The ``k`` rows of largest inner product with each query.

        Args:
            queries: (q, d) float32.
            k: At least 1; a smaller catalogue is padded with row -1.

        Returns:
            (q, k) int64 rows and (q, k) float32 inner products, best first.
        """
        if self._graph is None:
            return exact_search(self._embeddings, queries, k)
        scores, rows = self._graph.search(queries, k)
        return rows, scores


def build_neighbours(
    embeddings: NDArray[np.float32], k: int
) -> tuple[NDArray[np.int64], NDArray[np.uint32], NDArray[np.float32]]:
    """Each item's ``k`` nearest others by cosine, through FAISS: exact when small, inverted lists when large.

    Args:
        embeddings: (n, d) float32, rows of unit length or zero; a zero row has no neighbours and is nobody's.
        k: Neighbours an item at most.

    Returns:
        CSR offsets (n+1,) int64, rows uint32 and cosines float32, each row by falling cosine; only cosines above 0.
    """
    n, d = embeddings.shape
    filled = np.flatnonzero(np.any(embeddings, axis=1))
    offsets = np.zeros(n + 1, np.int64)
    if len(filled) < 2:
        return offsets, np.empty(0, np.uint32), np.empty(0, np.float32)
    base = np.ascontiguousarray(embeddings[filled])
    index: Any = faiss.IndexFlatIP(d)
    if len(filled) >= GRAPH_THRESHOLD:
        cells = int(4 * np.sqrt(len(filled)))
        index = faiss.IndexIVFFlat(index, d, cells, faiss.METRIC_INNER_PRODUCT)
        index.cp.seed = 0
        index.train(base)
        index.nprobe = max(8, cells // 64)
    index.add(base)
    scores, near = index.search(base, min(k + 1, len(filled)))
    good = (near >= 0) & (near != np.arange(len(filled))[:, None]) & (scores > 1e-6)
    good &= np.cumsum(good, axis=1) <= k
    offsets[filled + 1] = good.sum(axis=1)
    np.cumsum(offsets, out=offsets)
    rows, cosines = filled[near[good]].astype(np.uint32), np.minimum(scores[good], 1.0).astype(np.float32)
    # Equal cosines stand by row, as everywhere in a snapshot.
    owners = np.repeat(np.arange(n), np.diff(offsets))
    order = np.lexsort((rows, -cosines, owners))
    return offsets, rows[order], cosines[order]
