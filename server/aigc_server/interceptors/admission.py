"""How many calls are in work, and how many may wait."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aigc.errors import ResourceExhaustedError

__all__ = ["Admission"]


class Admission:
    """Lets ``concurrent`` calls work and ``waiting`` more wait; one more is refused at once, so that no queue grows."""

    def __init__(self, concurrent: int, waiting: int) -> None:
        """Args: concurrent: calls in work; waiting: calls that may wait for their turn."""
        self._turns = asyncio.Semaphore(concurrent)
        self._concurrent = concurrent
        self._limit = concurrent + waiting
        self.inside = 0

    @property
    def waiting(self) -> int:
        """Calls that wait for their turn."""
        return max(0, self.inside - self._concurrent)

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[float]:
        """Wait for a turn and hold it; gives the seconds that it took to come.

        Raises:
            ResourceExhaustedError: As many wait as may.
        """
        if self.inside >= self._limit:
            raise ResourceExhaustedError(
                f"{self.inside} calls are in work or waiting, as many as may; try again in a moment",
                reason="SERVER_BUSY",
                retry_delay_ms=200,
            )
        self.inside += 1
        try:
            began = time.perf_counter()
            async with self._turns:
                yield time.perf_counter() - began
        finally:
            self.inside -= 1
