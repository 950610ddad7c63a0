"""All users' actions in order, with a clock that a window can be slid along."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["History", "mix"]

_DAY_MS = 86_400_000


@dataclass(frozen=True, slots=True)
class History:
    """Actions sorted by user, then time.

    Attributes:
        users, items, times_ms: (n,) int64 each.
        counts: (n_users,) int64: actions of each user.
        n_items: Size of the catalogue.
    """

    users: NDArray[np.int64]
    items: NDArray[np.int64]
    times_ms: NDArray[np.int64]
    counts: NDArray[np.int64]
    n_items: int

    @classmethod
    def build(
        cls,
        users: NDArray[np.int64],
        items: NDArray[np.int64],
        times_ms: NDArray[np.int64],
        types: NDArray[np.integer],
        n_users: int,
        n_items: int,
        echo_ms: int,
    ) -> History:
        """Sort n events and leave out those that another type of event on the same item just reported."""
        order = np.lexsort((times_ms, users))
        # Far beyond any date, and no difference of two times overflows.
        when = np.clip(times_ms[order], -(2**61), 2**61)
        user, item, kind = users[order], items[order], types[order]
        echo = np.zeros(len(user), np.bool_)
        echo[1:] = (
            (user[1:] == user[:-1])
            & (item[1:] == item[:-1])
            & (kind[1:] != kind[:-1])
            & (when[1:] - when[:-1] <= echo_ms)
        )
        user, item, when = (a[~echo].astype(np.int64) for a in (user, item, when))
        return cls(user, item, when, np.bincount(user, minlength=n_users), n_items)

    def where(self, keep: NDArray[np.bool_]) -> History:
        """The same with those actions only."""
        users = self.users[keep]
        counts = np.bincount(users, minlength=len(self.counts))
        return History(users, self.items[keep], self.times_ms[keep], counts, self.n_items)

    @property
    def same_user(self) -> NDArray[np.bool_]:
        """(n,) bool: the action before is of the same user."""
        same = np.zeros(len(self.users), np.bool_)
        same[1:] = self.users[1:] == self.users[:-1]
        return same

    @property
    def gaps_ms(self) -> NDArray[np.int64]:
        """(n,) int64: time since the user's action before; 0 for the first."""
        gaps = np.zeros(len(self.users), np.int64)
        gaps[1:] = np.diff(self.times_ms)
        return np.where(self.same_user, gaps, 0)

    @property
    def clock_ms(self) -> NDArray[np.int64]:
        """(n,) int64, rising over all users: differences within a user are true up to a day, users lie days apart.

        One array to search windows in, that no odd time can make overflow.
        """
        return np.cumsum(np.where(self.same_user, np.minimum(self.gaps_ms, _DAY_MS), 2 * _DAY_MS))

    def steps(self) -> History:
        """Runs of actions on one item as one."""
        again = self.same_user
        again[1:] &= self.items[1:] == self.items[:-1]
        return self.where(~again)

    def instants(self) -> History:
        """Actions with the same time as one: a page that was sent at once."""
        again = self.same_user
        again[1:] &= self.times_ms[1:] == self.times_ms[:-1]
        return self.where(~again)


def mix(seed: NDArray[np.uint64], value: NDArray[np.int64]) -> NDArray[np.uint64]:
    """Hash (n,) seeds with (n,) values (the finaliser of splitmix64, Steele et al. 2014)."""
    x = (seed * np.uint64(0x9E3779B97F4A7C15)) ^ value.astype(np.uint64)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))
