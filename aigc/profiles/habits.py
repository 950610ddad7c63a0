"""When, how often and how adventurously a user acts."""

from __future__ import annotations

import numpy as np

from aigc.entities import Activity
from aigc.profiles.evidence import DAY_MS, Evidence

__all__ = ["find_activity"]

_SESSION_GAP_MS = 1_800_000
_HOUR_MS = 3_600_000


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
        sessions=1 + int((np.diff(times) > _SESSION_GAP_MS).sum()),
        busiest_hour=int(hours.argmax()),
        novelty=new / len(times),
        breadth=len(late - early) / len(early | late) if early | late else 0.0,
    )
