"""When, how often and how adventurously a user acts."""

from __future__ import annotations

import numpy as np

from aigc.entities import Activity
from aigc.prepare.sessions import split_sessions
from aigc.profiles.evidence import DAY_MS, Evidence

__all__ = ["busy_hours", "find_activity"]

_HOUR_MS = 3_600_000
_WINDOW_HOURS = 4
_MIN_DAYS = 5
_BUSY_SHARE = 0.5


def find_activity(evidence: Evidence) -> Activity | None:
    """The habits; None without an event."""
    if not evidence.events:
        return None
    times = np.array([e.time_ms for e in evidence.events], np.int64)
    weeks = max(1.0, float(times[-1] - times[0]) / DAY_MS / 7)
    hours = np.bincount(times // _HOUR_MS % 24, minlength=24)
    met: set[str] = set()
    new = 0
    for event in evidence.events:
        new += event.item_id not in met
        met.add(event.item_id)
    half = len(evidence.events) // 2
    early = {c for e in evidence.events[:half] if (i := evidence.items.get(e.item_id)) for c in i.categories}
    late = {c for e in evidence.events[half:] if (i := evidence.items.get(e.item_id)) for c in i.categories}
    return Activity(
        events_per_week=len(times) / weeks,
        active_days=len(np.unique(times // DAY_MS)),
        sessions=1 + int(split_sessions(np.zeros_like(times), times)[-1]),
        busiest_hour=int(hours.argmax()),
        novelty=new / len(times),
        breadth=len(late - early) / len(early | late) if early | late else 0.0,
    )


def busy_hours(evidence: Evidence) -> tuple[int, int] | None:
    """The four hours of the day (UTC, first and last's end) that hold more than half of a user's active hours.

    An active hour is one hour of one day with an event, so that one long evening makes no habit. None below five
    active days, and where no four hours stand out.
    """
    times = np.array([e.time_ms for e in evidence.events], np.int64)
    hours = np.unique(times // _HOUR_MS)
    if len(np.unique(hours // 24)) < _MIN_DAYS:
        return None
    counts = np.bincount(hours % 24, minlength=24)
    windows = np.sum([np.roll(counts, -shift) for shift in range(_WINDOW_HOURS)], axis=0)
    first = int(np.argmax(windows))
    if windows[first] <= _BUSY_SHARE * len(hours):
        return None
    return first, (first + _WINDOW_HOURS) % 24
