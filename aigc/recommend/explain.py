"""The Engine's rows → recommended items, with the reasons in words a caller can show."""

from __future__ import annotations

import numpy as np

from aigc.entities import Neighbour, RecommendedItem, SourceShare
from aigc.kernel import Results, State
from aigc.recommend.strategy import Strategy

__all__ = ["ranked_items", "recommended"]


def recommended(state: State, rows: np.ndarray, scores: np.ndarray) -> list[RecommendedItem]:
    """Rows (k,) uint32 and scores (k,) float32 → items with their titles."""
    return [
        RecommendedItem(item_id, title, kind, score, generated)
        for item_id, title, kind, score, generated in zip(
            state.item_ids(rows),
            state.item_titles(rows),
            state.item_kinds(rows),
            scores.tolist(),
            state.generated(rows).tolist(),
            strict=True,
        )
    ]


def ranked_items(results: Results, i: int, strategy: Strategy, *, explain: bool) -> list[RecommendedItem]:
    """Row ``i`` of a batch; the shares and neighbours come only with ``explain``."""
    state, count = results.state, int(results.counts[i])
    items = recommended(state, results.rows[i, :count], results.scores[i, :count])
    if not explain or not count:
        return items
    names = [source.name for source in strategy.sources]
    shares, near = results.shares[i, :count].tolist(), results.neighbour_items[i, :count]
    near_shares, users = results.neighbour_item_shares[i, :count].tolist(), results.neighbour_users[i]
    return [
        RecommendedItem(
            item.item_id,
            item.title,
            item.kind,
            item.score,
            item.generated,
            tuple(
                sorted(
                    (SourceShare(n, s) for n, s in zip(names, shares[j], strict=True) if s > 0),
                    key=lambda share: (-share.share, share.source),
                )
            ),
            (
                *_item_neighbours(state, near[j], near_shares[j]),
                *(Neighbour(user, "", "user", share) for user, share in users[j]),
            ),
        )
        for j, item in enumerate(items)
    ]


def _item_neighbours(state: State, rows: np.ndarray, shares: list[float]) -> list[Neighbour]:
    known = rows[rows >= 0].astype(np.uint32)
    return [
        Neighbour(item_id, title, "item", share)
        for item_id, title, share in zip(state.item_ids(known), state.item_titles(known), shares, strict=False)
    ]
