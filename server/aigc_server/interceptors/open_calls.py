"""Calls in work, each of which can be told that the server ends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

from aigc.errors import UnavailableError

__all__ = ["OpenCall", "OpenCalls"]


class OpenCall:
    """One call. Its work can be interrupted, the sending of a message cannot."""

    def __init__(self, limit: asyncio.Timeout) -> None:
        """Args: limit: around the work."""
        self._limit = limit
        self._sending = False
        self._over = False

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
            self._limit.reschedule(asyncio.get_running_loop().time())


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
        limit = asyncio.timeout(None)
        call = OpenCall(limit)
        try:
            async with limit:
                self._open.add(call)
                try:
                    yield call
                finally:
                    self._open.discard(call)
        except TimeoutError:
            # The call's own deadline is one too.
            if limit.expired():
                raise _ending() from None
            raise

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
