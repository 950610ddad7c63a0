"""Times that cannot be right: a clock that runs ahead, another unit, a clock that was never set."""

from __future__ import annotations

import time

import numpy as np
from numpy.typing import NDArray

__all__ = ["EARLIEST_MS", "TOLERANCE_MS", "correct_times"]

EARLIEST_MS = 631_152_000_000
"""1990-01-01: older than any recommendation log (MovieLens begins in 1995)."""

TOLERANCE_MS = 300_000
"""Five minutes, the skew that Kerberos (RFC 4120) tolerates between two clocks."""


def correct_times(
    times_ms: NDArray[np.int64],
    accepted_ms: NDArray[np.int64] | int | None = None,
    users: NDArray[np.int64] | None = None,
    *,
    tolerance_ms: int = TOLERANCE_MS,
    earliest_ms: int = EARLIEST_MS,
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Bring impossible times back, each user's order kept.

    Seconds and microseconds that were given as milliseconds are converted. What lies in the future moves back by
    the user's largest lead, as a device's clock is wrong by a constant, so the gaps between the moved events stay;
    none moves before an event that it followed. What is still too old takes the user's earliest credible time.

    Args:
        times_ms: (n,) int64, milliseconds since the epoch.
        accepted_ms: When the server accepted the events: (n,) int64 or one time for all; None is now.
        users: (n,) int64 user rows; None takes all events for one user's.
        tolerance_ms: How far a time may lie after its acceptance.
        earliest_ms: The oldest credible time.

    Returns:
        (n,) int64 times and (n,) bool, True where the time was changed.
    """
    n = len(times_ms)
    accepted = np.broadcast_to(np.int64(time.time() * 1000) if accepted_ms is None else np.asarray(accepted_ms), n)
    owner = np.zeros(n, np.int64) if users is None else users
    latest = accepted + tolerance_ms
    times = times_ms.astype(np.int64)
    seconds = (times >= earliest_ms // 1000) & (times <= latest // 1000)
    times[seconds] *= 1000
    micros = (times // 1000 >= earliest_ms) & (times // 1000 <= latest)
    times[micros] //= 1000

    order = np.lexsort((times, owner))
    ahead, old = (times > latest)[order], (times < earliest_ms)[order]
    credible = ~ahead & ~old
    _, row = np.unique(owner[order], return_inverse=True)
    now, sorted_times = accepted[order], times[order]

    lead = np.zeros(n, np.int64)
    np.maximum.at(lead, row[ahead], (sorted_times - now)[ahead])
    # The last credible event before each, of the same user only: positions rise from user to user.
    last = np.maximum.accumulate(np.where(credible, np.arange(n), -1))
    same = (last >= 0) & (row[last] == row)
    floor = np.where(same, sorted_times[last], earliest_ms)
    moved = np.maximum(sorted_times - lead[row], floor)

    first = np.full(n, np.iinfo(np.int64).max)
    np.minimum.at(first, row[~old], np.where(ahead, moved, sorted_times)[~old])
    np.minimum.at(first, row[old], np.where(first[row] == np.iinfo(np.int64).max, now, first[row])[old])
    fixed = np.where(ahead, moved, np.where(old, first[row], sorted_times))
    times[order] = fixed
    return times, times != times_ms
