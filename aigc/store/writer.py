"""Group commit: one thread writes what waits, in one transaction, and then tells everybody."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine

from aigc.errors import AigcError, ResourceExhaustedError, UnavailableError
from aigc.quiet_work import stand_back
from aigc.store.faults import translate

__all__ = ["GroupCommit"]

T = TypeVar("T")
_NICENESS = 10
"""Whoever waits for a commit waits for the disk, for milliseconds anyway; whoever waits for an answer does not."""


@dataclass(slots=True)
class _Work:
    run: Callable[[Connection], Any]
    after: Callable[[Any], None] | None
    size: int
    future: Future[Any] = field(default_factory=Future)


class GroupCommit:
    """A bounded queue of writes and the one thread that commits them.

    A transaction holds all that waits, up to ``group`` rows. When one write of a group fails, the group is rolled back
    and each of its writes is tried alone, so that a bad one fails by itself. ``on_commit`` is told of each
    transaction's rows and seconds.
    """

    def __init__(self, engine: Engine, where: str, *, capacity: int = 200_000, group: int = 100_000) -> None:
        """Args: engine: to write with; where: names the store in errors; capacity: rows that may wait."""
        self._engine = engine
        self._where = where
        self._capacity = capacity
        self._group = group
        self._queue: deque[_Work] = deque()
        self._waiting_rows = 0
        self._changed = threading.Condition()
        self._closing = False
        self.on_commit: Callable[[int, float], None] | None = None
        self._thread = threading.Thread(target=self._run, name="store-writer", daemon=True)
        self._thread.start()

    @property
    def waiting_rows(self) -> int:
        """Rows that wait to be written."""
        return self._waiting_rows

    def submit(
        self, run: Callable[[Connection], T], *, size: int = 1, after: Callable[[T], None] | None = None
    ) -> Future[T]:
        """Queue a write.

        Args:
            run: Writes through the connection, commits nothing, and may be called a second time after a rollback.
            size: Rows it writes, about.
            after: Called with the result after the commit, in commit order, before the future resolves.

        Raises:
            ResourceExhaustedError: The queue is full.
            UnavailableError: The store is closed.
        """
        work = _Work(run, after, size)
        with self._changed:
            if self._closing:
                raise UnavailableError(f"the store {self._where} is closed", reason="STORE_CLOSED")
            if self._queue and self._waiting_rows + size > self._capacity:
                raise ResourceExhaustedError(
                    f"{self._waiting_rows} rows wait to be written, as many as may; write again in a moment",
                    reason="WRITE_QUEUE_FULL",
                    retry_delay_ms=100,
                )
            self._queue.append(work)
            self._waiting_rows += size
            self._changed.notify()
        return work.future

    def close(self) -> None:
        """Write what waits, then end the thread."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        self._thread.join()

    def _run(self) -> None:
        stand_back(_NICENESS)
        while group := self._take():
            if not self._commit(group) and len(group) > 1:
                for work in group:
                    self._commit([work])

    def _take(self) -> list[_Work]:
        with self._changed:
            while not self._queue and not self._closing:
                self._changed.wait()
            group: list[_Work] = []
            rows = 0
            while self._queue and (not group or rows + self._queue[0].size <= self._group):
                work = self._queue.popleft()
                rows += work.size
                if work.future.set_running_or_notify_cancel():
                    group.append(work)
            self._waiting_rows -= rows
            # An empty group ends the thread, and only a closed queue with nothing left may be that.
            if not group and (self._queue or not self._closing):
                group = [_Work(lambda _: None, None, 0)]
                group[0].future.set_running_or_notify_cancel()
            return group

    def _commit(self, group: list[_Work]) -> bool:
        """Write a group and settle its futures; False, with nothing settled, when one of several failed."""
        began = time.perf_counter()
        try:
            with self._engine.connect() as connection, connection.begin():
                results = [work.run(connection) for work in group]
        except Exception as error:  # whatever a write raises belongs to its caller, not to this thread
            if len(group) == 1:
                group[0].future.set_exception(translate(error, self._where))
            return False
        if self.on_commit is not None:
            self.on_commit(sum(work.size for work in group), time.perf_counter() - began)
        for work, result in zip(group, results, strict=True):
            try:
                if work.after is not None:
                    work.after(result)
                work.future.set_result(result)
            except AigcError as error:
                work.future.set_exception(error)
            except Exception as error:  # the write is durable; what could not be told of it is reported
                work.future.set_exception(AigcError(f"written, but not applied: {error}"))
        return True
