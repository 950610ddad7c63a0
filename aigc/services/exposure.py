"""How much of what is shown is generated, over the last hours; and the new generated items that may be tried."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Sequence

from aigc.entities import RecommendedItem

__all__ = ["Exposure"]

_HOUR_S = 3600.0
_BUCKET_S = 60.0
_MOST_FRESH = 500


class Exposure:
    """Counts by the minute; thread-safe."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        """Args: clock: seconds."""
        self._clock = clock
        self._lock = threading.Lock()
        self._buckets: deque[list[float]] = deque()
        self._fresh: OrderedDict[str, int] = OrderedDict()

    def note(self, items: Sequence[RecommendedItem], at_s: float | None = None) -> None:
        """Items were shown."""
        self.count(len(items), [i.item_id for i in items if i.generated], at_s)

    def count(self, shown: int, generated: Sequence[str], at_s: float | None = None) -> None:
        """So many items were shown, these generated ones among them."""
        minute = (self._clock() if at_s is None else at_s) // _BUCKET_S
        with self._lock:
            if not self._buckets or self._buckets[-1][0] < minute:
                self._buckets.append([minute, 0, 0])
            bucket = self._buckets[-1]
            bucket[1] += shown
            bucket[2] += len(generated)
            for item_id in generated:
                if item_id in self._fresh:
                    self._fresh[item_id] += 1

    def room(self, share: float, hours: float, n: int) -> float:
        """Share of a list of ``n`` that generated items may fill so that over ``hours`` they stay within ``share``."""
        if share >= 1:
            return 1.0
        shown, generated = self.totals(hours)
        return min(1.0, max(0.0, (share * (shown + n) - generated) / n))

    def totals(self, hours: float) -> tuple[float, float]:
        """How many items were shown over so many hours, and how many of them were generated."""
        first = (self._clock() - hours * _HOUR_S) // _BUCKET_S
        with self._lock:
            while self._buckets and self._buckets[0][0] < first - 24 * 60:
                self._buckets.popleft()
            shown = sum(b[1] for b in self._buckets if b[0] >= first)
            generated = sum(b[2] for b in self._buckets if b[0] >= first)
        return shown, generated

    def introduce(self, item_id: str) -> None:
        """A generated item is new; of more than 500 the oldest is new no more."""
        with self._lock:
            self._fresh[item_id] = 0
            while len(self._fresh) > _MOST_FRESH:
                self._fresh.popitem(last=False)

    def fresh(self) -> dict[str, int]:
        """New generated items and how often each was shown."""
        with self._lock:
            return dict(self._fresh)
