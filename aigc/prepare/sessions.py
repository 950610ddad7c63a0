"""Where one visit ends and the next begins."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["split_sessions"]


def split_sessions(users: NDArray[np.int64], times_ms: NDArray[np.int64], gap_ms: int = 1_800_000) -> NDArray[np.int64]:
    """Number the sessions: a new one at each new user and after each silence longer than ``gap_ms``.

    Half an hour is the convention of web analytics (Catledge & Pitkow 1995 measured 25.5 minutes).

    Args:
        users: (n,) int64 user rows, sorted.
        times_ms: (n,) int64 milliseconds, rising within each user.
        gap_ms: The longest silence within a session, milliseconds.

    Returns:
        (n,) int64: session numbers from 0, rising.
    """
    if len(users) == 0:
        return np.empty(0, np.int64)
    starts = np.zeros(len(users), np.int64)
    starts[1:] = (users[1:] != users[:-1]) | (times_ms[1:] - times_ms[:-1] > gap_ms)
    return np.cumsum(starts)
