"""Calls in work, each of which can be told that the server ends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

from aigc.errors import UnavailableError

__all__ = ["OpenCall", "OpenCalls"]


class OpenCall:
    """One call. Its work can be interrupted, the sending of a message cannot."""

    def __init__(self, task: asyncio.Task[object]) -> None:
        """Args: task: that does the work."""
        self._task = task
        self._before = task.cancelling()
        self._sending = False
        self._over = False
        self._interrupted = False

    @contextmanager
    def sending(self) -> Iterator[None]:
        """While a message goes out: gRPC gives a call whose task is cancelled then no status at all.

        Raises:
            UnavailableError: The server ends.
        """
        self._sending = True
        try:
            yield
        finally:
            self._sending = False
        if self._over:
            raise _ending()

    def end(self) -> None:
        """Interrupt the work now, or after the message that goes out."""
        self._over = True
        if not self._sending:
            # Not by a timeout: what expires cancels a turn of the loop later, when a message may go out.
            self._interrupted = True
            self._task.cancel()

    def interrupted(self) -> bool:
        """Was it :meth:`end`, and nobody else, who cancelled the task?"""
        return self._interrupted and self._task.uncancel() <= self._before


class OpenCalls:
    """Of one server. What gRPC ends by itself has neither a reason nor a line in the log that says so."""

    def __init__(self) -> None:
        """No call yet."""
        self._open: set[OpenCall] = set()
        self._over = False

    @asynccontextmanager
    async def call(self) -> AsyncIterator[OpenCall]:
        """A block that is a call.

        Raises:
            UnavailableError: The server ends.
        """
        if self._over:
            raise _ending()
        task = asyncio.current_task()
        assert task is not None, "a call has its task"
        call = OpenCall(task)
        self._open.add(call)
        try:
            yield call
        except asyncio.CancelledError:
            if call.interrupted():
                raise _ending() from None
            raise
        finally:
            self._open.discard(call)

    def end(self) -> None:
        """Interrupt all calls, now and later ones."""
        self._over = True
        for call in tuple(self._open):
            call.end()


def _ending() -> UnavailableError:
    return UnavailableError(
        "the server is ending, and the call took longer than it may wait; ask another, or again in a moment",
        reason="SERVER_ENDING",
    )
