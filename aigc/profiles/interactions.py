"""Events → interactions: the users' histories as arrays, ready for training and for the snapshot."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from aigc.profiles.weights import EventWeights
from aigc.store.base import EventBatch

__all__ = ["Interactions", "collect_interactions"]


@dataclass(frozen=True, slots=True)
class Interactions:
    """All users' histories in CSR form, each user's rows oldest first.

    Attributes:
        user_ids: m ids, in order of their first event.
        offsets: (m+1,) int64.
        items: (e,) uint32 item rows.
        weights: (e,) float32 in [-1, 1].
        times: (e,) uint32, seconds since the epoch.
        last_seq: The highest event number read.
        events: How many events were read, those on unknown items included.
    """

    user_ids: list[str]
    offsets: NDArray[np.int64]
    items: NDArray[np.uint32]
    weights: NDArray[np.float32]
    times: NDArray[np.uint32]
    last_seq: int
    events: int

    @property
    def users(self) -> NDArray[np.int64]:
        """(e,) int64: the user row of each interaction."""
        return np.repeat(np.arange(len(self.user_ids), dtype=np.int64), np.diff(self.offsets))

    def newest(self, limit: int) -> Interactions:
        """The same with each user's newest ``limit`` interactions only."""
        lengths = np.diff(self.offsets)
        position_from_end = np.repeat(self.offsets[1:], lengths) - np.arange(len(self.items))
        keep = position_from_end <= limit
        offsets = np.zeros_like(self.offsets)
        np.cumsum(np.minimum(lengths, limit), out=offsets[1:])
        return Interactions(
            self.user_ids,
            offsets,
            self.items[keep],
            self.weights[keep],
            self.times[keep],
            self.last_seq,
            self.events,
        )

    def without(self, users: Collection[int]) -> Interactions:
        """The same, with these users' histories empty; the users keep their rows."""
        if not users:
            return self
        keep = ~np.isin(self.users, np.fromiter(users, np.int64, len(users)))
        offsets = np.zeros_like(self.offsets)
        np.cumsum(np.bincount(self.users[keep], minlength=len(self.user_ids)), out=offsets[1:])
        return Interactions(
            self.user_ids,
            offsets,
            self.items[keep],
            self.weights[keep],
            self.times[keep],
            self.last_seq,
            self.events,
        )

    def matrix(self, n_items: int) -> sparse.csr_matrix:
        """Users × items, float32: the sum of each pair's weights, clipped to 1, only where it is above 0."""
        shape = (len(self.user_ids), n_items)
        summed = sparse.coo_matrix((self.weights, (self.users, self.items)), shape=shape).tocsr()
        summed.data = np.minimum(summed.data, 1.0)
        summed.data[summed.data < 0] = 0.0
        summed.eliminate_zeros()
        summed.sort_indices()
        return summed.astype(np.float32)


def collect_interactions(
    batches: Iterable[EventBatch], item_rows: dict[str, int], weights: EventWeights
) -> Interactions:
    """Read events once and sort them by user, then time, then order of acceptance.

    Args:
        batches: Events in order of acceptance.
        item_rows: Item id → row; events on other items are left out.
        weights: What each event type is worth.
    """
    user_rows: dict[str, int] = {}
    users, items, values, times = [], [], [], []
    last_seq = events = 0
    for batch in batches:
        events += len(batch.seqs)
        last_seq = int(batch.seqs[-1]) if len(batch.seqs) else last_seq
        rows = np.fromiter((item_rows.get(i, -1) for i in batch.item_ids), np.int64, len(batch.item_ids))
        weight = weights.weigh(batch.types, batch.values)
        # What weighs nothing, such as an impression, is no interaction: the item does not count as seen.
        known = (rows >= 0) & (weight != 0)
        for user_id in batch.user_ids:
            user_rows.setdefault(user_id, len(user_rows))
        batch_users = np.fromiter((user_rows[u] for u in batch.user_ids), np.int64, len(batch.user_ids))
        users.append(batch_users[known].astype(np.uint32))
        items.append(rows[known].astype(np.uint32))
        values.append(weight[known])
        times.append(np.clip(batch.times_ms[known] // 1000, 0, 2**32 - 1).astype(np.uint32))

    # The empty array first, so that no batch at all has a type too.
    user = np.concatenate([np.empty(0, np.uint32), *users])
    time = np.concatenate([np.empty(0, np.uint32), *times])
    order = np.lexsort((time, user))
    offsets = np.zeros(len(user_rows) + 1, np.int64)
    np.cumsum(np.bincount(user[order].astype(np.int64), minlength=len(user_rows)), out=offsets[1:])
    return Interactions(
        list(user_rows),
        offsets,
        np.concatenate([np.empty(0, np.uint32), *items])[order],
        np.concatenate([np.empty(0, np.float32), *values])[order],
        time[order],
        last_seq,
        events,
    )
