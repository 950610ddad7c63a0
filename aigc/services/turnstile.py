"""One piece of heavy work at a time, a bounded number in line, each able to leave it."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from aigc.errors import CancelledError, ResourceExhaustedError

__all__ = ["Turnstile"]

_LOOK_S = 0.05


class Turnstile:
    """First come, first served; a caller in line is asked whether it is ``gone``, so that a dead call costs nothing."""

    def __init__(self, waiting: int) -> None:
        """Args: waiting: how many may stand in line."""
        self._waiting = waiting
        self._condition = threading.Condition()
        self._line: deque[object] = deque()

    @property
    def length(self) -> int:
        """How many are in work or in line."""
        return len(self._line)

    @contextmanager
    def turn(self, gone: Callable[[], bool]) -> Iterator[None]:
        """Hold the turn for the length of a block.

        Raises:
            ResourceExhaustedError: The line is full.
            CancelledError: ``gone`` said so while waiting.
        """
        ticket = object()
        with self._condition:
            if len(self._line) > self._waiting:
                raise ResourceExhaustedError(
                    f"{len(self._line)} calls are in the generator's queue, as many as may wait "
                    "(generation.queue); try again in a moment",
                    reason="GENERATOR_BUSY",
                    retry_delay_ms=500,
                )
            self._line.append(ticket)
            try:
                while self._line[0] is not ticket:
                    if gone():
                        raise CancelledError("the caller left, or the deadline passed, while waiting for the generator")
                    self._condition.wait(_LOOK_S)
            except BaseException:
                self._line.remove(ticket)
                self._condition.notify_all()
                raise
        try:
            yield
        finally:
            with self._condition:
                self._line.popleft()
                self._condition.notify_all()
