"""Which items were liked, by whom and how much: a set to fine-tune from."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from aigc.errors import InvalidInputError
from aigc.profiles.weights import EventWeights
from aigc.store.base import Store

__all__ = ["Liked", "LikedItem", "find_liked"]

# Of one user's events on one item together: a comment, or two clicks; a single view is no liking.
_LEAST = 0.5
_DAY_MS = 86_400_000


@dataclass(frozen=True, slots=True)
class Liked:
    """An item is liked when enough users like it, and all users together rather like than dislike it.

    A user likes an item when the weights of the user's events on it come to 0.5 or more.

    Attributes:
        users: Users who like it, at least.
        days: Only events of so many days before the newest event, so that the set depends on what is stored alone and
            not on the hour it is built; 0 for all.
        user_ids: Only these users' events; empty for everyone's.
    """

    users: int = 1
    days: float = 0.0
    user_ids: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse values without a meaning."""
        if self.users < 1:
            raise InvalidInputError(f"liked.users is {self.users}; give at least 1", field="liked.users")
        if not (math.isfinite(self.days) and self.days >= 0):
            raise InvalidInputError(f"liked.days is {self.days}; give 0 or more", field="liked.days")
        if self.user_ids and self.users > len(self.user_ids):
            raise InvalidInputError(
                f"liked.users is {self.users}, and {len(self.user_ids)} users are named; give at most that many",
                field="liked.users",
            )

    @property
    def in_words(self) -> str:
        """For errors."""
        who = f"at least {self.users} users" if self.users > 1 else "anyone"
        among = f" of the {len(self.user_ids)} named" if self.user_ids else ""
        when = f" in the last {self.days:g} days of events" if self.days else ""
        return f"liked by {who}{among}{when}"


@dataclass(frozen=True, slots=True)
class LikedItem:
    """How many ``users`` like an item, and the sum of all users' ``weight``, each cut to [-1, 1]."""

    users: int
    weight: float


def find_liked(store: Store, liked: Liked, weights: EventWeights) -> Mapping[str, LikedItem]:
    """The liked items by id, deleted and hidden ones among them."""
    wanted = set(liked.user_ids)
    user_rows: dict[str, int] = {}
    item_rows: dict[str, int] = {}
    parts: list[tuple[np.ndarray, ...]] = []
    newest_ms = 0
    for batch in store.iterate_events():
        newest_ms = max(newest_ms, int(batch.times_ms.max()))
        weight = weights.weigh(batch.types, batch.values).astype(np.float64)
        counts = weight != 0
        if wanted:
            counts &= np.fromiter((u in wanted for u in batch.user_ids), np.bool_, len(batch.user_ids))
        rows = np.flatnonzero(counts).tolist()
        users = np.fromiter((user_rows.setdefault(batch.user_ids[i], len(user_rows)) for i in rows), np.int64)
        items = np.fromiter((item_rows.setdefault(batch.item_ids[i], len(item_rows)) for i in rows), np.int64)
        parts.append((users, items, weight[rows], batch.times_ms[rows]))
    if not item_rows:
        return {}
    users, items, weight, times = (np.concatenate(column) for column in zip(*parts, strict=True))
    if liked.days:
        recent = times >= newest_ms - liked.days * _DAY_MS
        users, items, weight = users[recent], items[recent], weight[recent]
    pairs, places = np.unique(users * len(item_rows) + items, return_inverse=True)
    opinion = np.clip(np.bincount(places, weight, len(pairs)), -1.0, 1.0)
    of_item = pairs % len(item_rows)
    # Single precision weights add up to 0.49999 where 0.5 is meant.
    fans = np.bincount(of_item[opinion >= _LEAST - 1e-6], minlength=len(item_rows))
    total = np.bincount(of_item, opinion, len(item_rows))
    return {
        item_id: LikedItem(int(fans[row]), round(float(total[row]), 6))
        for item_id, row in sorted(item_rows.items())
        if fans[row] >= liked.users and total[row] > 0
    }
