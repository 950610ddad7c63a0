"""Several tastes rather than one mean: what a user likes, grouped by nearness."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
from numpy.typing import NDArray

from aigc.entities import Taste
from aigc.profiles.affinity import LONG_DAYS
from aigc.profiles.evidence import Evidence

__all__ = ["LIKED_LIMIT", "find_tastes", "liked_items"]

LIKED_LIMIT = 300
_MAX_TASTES = 5
_APART = 0.75
_MIN_SHARE = 0.05
_NAMES, _ITEMS = 3, 5


def liked_items(evidence: Evidence) -> dict[str, float]:
    """Item id → summed decayed weight above 0, the 300 weightiest, in order of their first event."""
    mass = defaultdict[str, float](float)
    for event, weight in zip(evidence.events, evidence.decayed(LONG_DAYS).tolist(), strict=True):
        if event.item_id in evidence.items:
            mass[event.item_id] += weight
    liked = {item: weight for item, weight in mass.items() if weight > 0}
    kept = set(sorted(liked, key=lambda i: (-liked[i], i))[:LIKED_LIMIT])
    return {item: weight for item, weight in liked.items() if item in kept}


def find_tastes(evidence: Evidence, liked: dict[str, float], embeddings: NDArray[np.float32]) -> tuple[Taste, ...]:
    """Tastes by falling share, five at most, each at least a twentieth of the whole.

    Average-linkage clustering of the liked items by cosine (Sokal and Michener 1958): the number of tastes comes from
    the data, and the same events give the same tastes.

    Args:
        evidence: What the user did.
        liked: From :func:`liked_items`.
        embeddings: (len(liked), embedding_size) float32, unit rows; zeros where an item has none.
    """
    ids = list(liked)
    if not ids:
        return ()
    groups = _groups(embeddings)
    total = sum(liked.values())
    events = defaultdict[str, int](int)
    for event in evidence.events:
        events[event.item_id] += 1
    common = _name_shares(evidence, ids, liked)
    tastes = []
    for group in np.unique(groups).tolist():
        members = [ids[i] for i in np.flatnonzero(groups == group)]
        share = sum(liked[i] for i in members) / total
        if share < _MIN_SHARE and len(ids) > 1:
            continue
        own = _name_shares(evidence, members, liked)
        # Telling is what is common here and less so in the whole.
        names = sorted(own, key=lambda n: (-own[n] * (own[n] / common[n]) ** 0.5, n))[:_NAMES]
        best = sorted(members, key=lambda i: (-liked[i], i))[:_ITEMS]
        tastes.append(Taste(share, tuple(names), tuple(best), sum(events[i] for i in members)))
    tastes.sort(key=lambda t: (-t.share, t.item_ids))
    return tuple(tastes[:_MAX_TASTES])


def _groups(embeddings: NDArray[np.float32]) -> NDArray[np.int64]:
    # Slow to import.
    from scipy.cluster.hierarchy import fcluster, linkage
    from scipy.spatial.distance import squareform

    if len(embeddings) < 2:
        return np.zeros(len(embeddings), np.int64)
    rows = embeddings.astype(np.float64)
    distances = np.clip(1 - rows @ rows.T, 0, 2)
    np.fill_diagonal(distances, 0)
    tree = linkage(squareform(distances, checks=False), "average")
    return np.asarray(fcluster(tree, min(_APART, float(tree[:, 2].max())), "distance"), np.int64)


def _name_shares(evidence: Evidence, ids: list[str], liked: dict[str, float]) -> dict[str, float]:
    shares = defaultdict[str, float](float)
    total = sum(liked[i] for i in ids)
    for item_id in ids:
        item = evidence.items[item_id]
        for name in item.categories:
            shares[name] += liked[item_id] / total
        for name in item.tags[:5]:
            shares[name] += 0.3 * liked[item_id] / total
    return shares
