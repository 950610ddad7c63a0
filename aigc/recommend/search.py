"""Search of the whole catalogue by an embedding: the snapshot's index and the delta, merged, then filtered."""

from __future__ import annotations

import time

import numpy as np
from numpy.typing import NDArray

from aigc.entities import RecommendedItem
from aigc.kernel import Engine, Plan, Query, Source
from aigc.recommend.explain import recommended
from aigc.recommend.live import Serving
from aigc.recommend.request import SearchRequest

__all__ = ["find"]

_DELTA_LIMIT = 10_000


def find(
    engine: Engine, serving: Serving, vector: NDArray[np.float32], request: SearchRequest
) -> list[RecommendedItem]:
    """Items by falling cosine with ``vector``.

    The index knows no filters, so it is asked for more and more until enough pass, at last for everything.

    Args:
        engine: Applies the filters.
        serving: The snapshot to search.
        vector: (1, embedding_size) float32 of unit length, or zeros, which find nothing.
        request: How many, and which.
    """
    if serving.index is None or not vector.any():
        return []
    total = serving.state.stats()["items"]
    new_rows, new_scores = serving.state.search_delta(vector, max(1, min(total, _DELTA_LIMIT)))
    k = max(1, min(total, max(4 * request.n, 100)))
    while True:
        rows, scores = serving.index.search(vector, k)
        # An item changed since the snapshot is known to the index as it was: the delta's word counts.
        stale = np.isin(rows[0], new_rows[0])
        merged = np.concatenate([rows[0][~stale], new_rows[0]])
        cosines = np.concatenate([scores[0][~stale], new_scores[0]])
        found = merged >= 0
        items = _filtered(engine, merged[found].astype(np.uint32), cosines[found], request)
        if len(items) >= request.n or k >= total:
            return items
        k = min(total, k * 8)


def _filtered(
    engine: Engine, rows: NDArray[np.uint32], cosines: NDArray[np.float32], request: SearchRequest
) -> list[RecommendedItem]:
    """Those that may be shown, best first, at most ``request.n``."""
    if not len(rows):
        return []
    query = Query(
        now_ms=int(time.time() * 1000),
        n=request.n,
        categories=list(request.categories),
        kinds=list(request.kinds),
        personalised=False,
        vector_rows=rows,
        vector_scores=cosines.astype(np.float32),
    )
    plan = Plan(sources=[Source(kind="vector", name="vector", limit=len(rows))], calibration="none")
    results = engine.recommend([query], plan)
    count = int(results.counts[0])
    return recommended(results.state, results.rows[0, :count], results.scores[0, :count])
