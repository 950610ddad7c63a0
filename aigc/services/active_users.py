"""Who was here lately, and up to which event each profile was looked at: a gap is filled once."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from numpy.typing import NDArray

from aigc.store.base import EventBatch

__all__ = ["ActiveUser", "ActiveUsers"]

_MOST = 10_000


@dataclass(frozen=True, slots=True)
class ActiveUser:
    """A user's newest events.

    Attributes:
        user_id: Whose.
        seen_ms: Time of the newest event.
        changed_seq: Number of the newest event that changes the profile: one whose weight is not 0.
        changed_ms: Time of that event.
    """

    user_id: str
    seen_ms: int
    changed_seq: int
    changed_ms: int


class ActiveUsers:
    """The 10,000 users whose events came last; thread-safe."""

    def __init__(self) -> None:
        """Nobody."""
        self._lock = threading.Lock()
        self._users: OrderedDict[str, ActiveUser] = OrderedDict()

    def note(self, batch: EventBatch, weights: Sequence[float] | NDArray[Any], now_ms: int) -> None:
        """Take in events.

        Args:
            batch: In order of acceptance.
            weights: Of each event, in [-1, 1].
            now_ms: A time beyond it, from a clock that is wrong, counts as now.
        """
        with self._lock:
            rows = zip(batch.seqs.tolist(), batch.user_ids, batch.times_ms.tolist(), weights, strict=True)
            for seq, user_id, given_ms, weight in rows:
                time_ms = min(given_ms, now_ms)
                old = self._users.pop(user_id, None)
                changed = (seq, time_ms) if weight != 0 else (old.changed_seq, old.changed_ms) if old else (0, 0)
                self._users[user_id] = ActiveUser(user_id, max(time_ms, old.seen_ms if old else 0), *changed)
            while len(self._users) > _MOST:
                self._users.popitem(last=False)

    def since(self, time_ms: int) -> list[ActiveUser]:
        """Those with an event at or after a time, and a profile to speak of; who came last is first."""
        with self._lock:
            return [u for u in reversed(self._users.values()) if u.seen_ms >= time_ms and u.changed_seq]

    def add_older(self, users: Sequence[ActiveUser]) -> None:
        """Take in users from before, who came last first; what is known of them already is newer."""
        with self._lock:
            for user in users:
                known = self._users.get(user.user_id)
                if known is None:
                    self._users[user.user_id] = user
                    self._users.move_to_end(user.user_id, last=False)
                elif not known.changed_seq:
                    self._users[user.user_id] = replace(known, changed_seq=user.changed_seq, changed_ms=user.changed_ms)
            while len(self._users) > _MOST:
                self._users.popitem(last=False)
