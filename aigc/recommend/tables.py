"""Items and interactions → the arrays of a snapshot (``docs/snapshot.md``)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aigc.entities import Item
from aigc.kernel import build_id_slots
from aigc.profiles.interactions import Interactions

__all__ = ["item_tables", "string_table", "user_tables"]

_DAY_S = 86_400


def string_table(strings: Sequence[str]) -> tuple[NDArray[np.int64], NDArray[np.uint8]]:
    """Strings as offsets (n+1,) int64 and UTF-8 bytes uint8."""
    encoded = [s.encode() for s in strings]
    offsets = np.zeros(len(encoded) + 1, np.int64)
    np.cumsum([len(e) for e in encoded], out=offsets[1:])
    return offsets, np.frombuffer(b"".join(encoded), np.uint8)


def item_tables(
    items: Sequence[Item], kinds: Sequence[str], categories: Sequence[str], embeddings: NDArray[np.float32]
) -> dict[str, NDArray[Any]]:
    """Everything that depends on the items alone."""
    kind_rows = {kind: row for row, kind in enumerate(kinds)}
    category_rows = {category: row for row, category in enumerate(categories)}
    id_offsets, id_bytes = string_table([i.id for i in items])
    title_offsets, title_bytes = string_table([i.title for i in items])
    own = [sorted({category_rows[c] for c in i.categories}) for i in items]
    category_offsets = np.zeros(len(items) + 1, np.int64)
    np.cumsum([len(o) for o in own], out=category_offsets[1:])
    created = np.fromiter((i.created_ms for i in items), np.int64, len(items))
    return {
        "item_id_offsets": id_offsets,
        "item_id_bytes": id_bytes,
        "item_id_slots": build_id_slots(id_offsets, id_bytes),
        "item_title_offsets": title_offsets,
        "item_title_bytes": title_bytes,
        "item_kinds": np.fromiter((kind_rows[i.kind] for i in items), np.uint8, len(items)),
        "item_category_offsets": category_offsets,
        "item_categories": np.fromiter((c for o in own for c in o), np.uint32, int(category_offsets[-1])),
        "item_flags": np.fromiter((i.hidden | i.generated << 1 for i in items), np.uint8, len(items)),
        "item_created": created,
        "item_embeddings": embeddings,
        "fresh_order": np.argsort(-created, kind="stable").astype(np.uint32),
    }


def user_tables(
    interactions: Interactions,
    n_items: int,
    *,
    trusted: Interactions | None = None,
    history_limit: int,
    item_users_limit: int,
    popularity_half_life_days: float,
) -> dict[str, NDArray[Any]]:
    """Everything that depends on behaviour, the item–item models left out.

    Who has seen what comes from all ``interactions``; neighbours and popularity from the ``trusted`` ones.
    """
    m = len(interactions.user_ids)
    user_offsets, user_bytes = string_table(interactions.user_ids)
    history = interactions.newest(history_limit)
    seen_offsets, seen_items = _seen(interactions, n_items)
    trusted = trusted or interactions
    recent = trusted.newest(history_limit)
    item_user_offsets, item_users, item_idf, user_norms = _inverted(recent, n_items, item_users_limit)
    popularity = _popularity(trusted, n_items, popularity_half_life_days)
    return {
        "user_id_offsets": user_offsets,
        "user_id_bytes": user_bytes,
        "user_id_slots": build_id_slots(user_offsets, user_bytes),
        "history_offsets": history.offsets,
        "history_items": history.items,
        "history_weights": history.weights,
        "history_times": history.times,
        "seen_offsets": seen_offsets,
        "seen_items": seen_items,
        "item_user_offsets": item_user_offsets,
        "item_users": item_users,
        "item_idf": item_idf,
        "user_norms": user_norms if m else np.empty(0, np.float32),
        "item_popularity": popularity,
        "popular_order": np.argsort(-popularity, kind="stable").astype(np.uint32),
    }


def _seen(interactions: Interactions, n_items: int) -> tuple[NDArray[np.int64], NDArray[np.uint32]]:
    """Each user's distinct items, rising."""
    pairs = np.unique(interactions.users * max(n_items, 1) + interactions.items)
    users, items = np.divmod(pairs, max(n_items, 1))
    offsets = np.zeros(len(interactions.user_ids) + 1, np.int64)
    np.cumsum(np.bincount(users, minlength=len(interactions.user_ids)), out=offsets[1:])
    return offsets, items.astype(np.uint32)


def _inverted(
    history: Interactions, n_items: int, limit: int
) -> tuple[NDArray[np.int64], NDArray[np.uint32], NDArray[np.float32], NDArray[np.float32]]:
    """Users by item (the most recent ``limit`` of each), items' idf and users' norms, of positive interactions."""
    m = len(history.user_ids)
    positive = history.weights > 0
    users, items = history.users[positive], history.items[positive].astype(np.int64)
    times = history.times[positive].astype(np.int64)
    # One row a (user, item) pair, with the pair's latest time: sort by pair, then by falling time.
    order = np.lexsort((-times, items, users))
    users, items, times = users[order], items[order], times[order]
    first = np.ones(len(users), np.bool_)
    first[1:] = (users[1:] != users[:-1]) | (items[1:] != items[:-1])
    users, items, times = users[first], items[first], times[first]
    counts = np.bincount(items, minlength=n_items)
    idf = np.log1p(m / np.maximum(counts, 1)).astype(np.float32)
    norms = np.sqrt(np.bincount(users, idf[items].astype(np.float64) ** 2, minlength=m)).astype(np.float32)
    order = np.lexsort((users, -times, items))
    users, items = users[order], items[order]
    starts = np.zeros(n_items + 1, np.int64)
    np.cumsum(counts, out=starts[1:])
    keep = np.arange(len(items)) - starts[items] < limit
    offsets = np.zeros(n_items + 1, np.int64)
    np.cumsum(np.minimum(counts, limit), out=offsets[1:])
    return offsets, users[keep].astype(np.uint32), idf, norms


def _popularity(interactions: Interactions, n_items: int, half_life_days: float) -> NDArray[np.float32]:
    """(n_items,) float32: positive weight, halved for every half-life before the newest interaction of all."""
    positive = interactions.weights > 0
    if not positive.any():
        return np.zeros(n_items, np.float32)
    times = interactions.times[positive].astype(np.float64)
    decay = 0.5 ** ((times.max() - times) / (half_life_days * _DAY_S))
    # A floor keeps old favourites in order where everything recent is sparse.
    mass = interactions.weights[positive] * np.maximum(decay, 1e-3)
    return np.bincount(interactions.items[positive], mass, minlength=n_items).astype(np.float32)
