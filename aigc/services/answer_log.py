"""Keeps what was answered, without making anyone wait for it."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Mapping

from aigc.entities import Recommendation
from aigc.errors import AigcError
from aigc.store.base import LoggedRecommendation, Store

__all__ = ["AnswerLog"]

_PART = 24
_SHARE = 8
_PAUSE = 3.0
"""Written are so many answers at once, or of many that wait this part of them; then the log rests this often the time
that they took. The store's one writing thread has events, too, for which somebody waits, and a hundred answers in one
transaction would stand for milliseconds in front of the calls that are being answered on its core."""


class AnswerLog:
    """A bounded queue in front of the store: when it is full the oldest entry goes, and is counted."""

    def __init__(self, store: Store, *, capacity: int = 20_000, flush_ms: int = 200, batch: int = 1000) -> None:
        """Start the thread that writes.

        Args:
            store: Where to.
            capacity: Answers that may wait.
            flush_ms: How long an answer waits for company.
            batch: Answers written at once, at most.
        """
        self._store = store
        self._queue: deque[LoggedRecommendation] = deque()
        self._capacity = capacity
        self._flush_s = flush_ms / 1000
        self._batch = batch
        self._closing = threading.Event()
        self.dropped = 0
        self._thread = threading.Thread(target=self._run, name="answer-log", daemon=True)
        self._thread.start()

    def add(self, answer: Recommendation, created_ms: int, propensities: Mapping[str, float] | None = None) -> None:
        """Keep an answer soon, with the probabilities of what was tried in it."""
        self.keep(
            LoggedRecommendation(
                answer.id,
                answer.user_id,
                answer.strategy,
                answer.experiment,
                answer.snapshot,
                tuple(item.item_id for item in answer.items),
                created_ms,
                propensities or {},
            )
        )

    def keep(self, entry: LoggedRecommendation) -> None:
        """As :meth:`add`, for an answer that another front gave."""
        if len(self._queue) >= self._capacity:
            self._queue.popleft()
            self.dropped += 1
        self._queue.append(entry)

    def close(self) -> None:
        """Write what waits, then stop."""
        self._closing.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._closing.wait(self._flush_s):
            self._flush()
        self._flush()

    def _flush(self) -> None:
        while self._queue:
            entries = [self._queue.popleft() for _ in range(self._part())]
            began = time.perf_counter()
            try:
                self._store.log_recommendations(entries)
            except AigcError:
                # Answers are kept as far as the store allows; a full disk must not stop the answering.
                self.dropped += len(entries)
            self._closing.wait(_PAUSE * (time.perf_counter() - began))

    def _part(self) -> int:
        waiting = len(self._queue)
        return min(waiting, self._batch, self._batch if self._closing.is_set() else max(_PART, waiting // _SHARE))
