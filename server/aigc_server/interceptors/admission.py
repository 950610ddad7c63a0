"""How many calls are in work, and how many may wait."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aigc.errors import ResourceExhaustedError

__all__ = ["Admission"]


class Admission:
    """Lets ``concurrent`` calls work and ``waiting`` more wait; one more is refused at once, so that no queue grows."""

    def __init__(self, concurrent: int, waiting: int) -> None:
        """Args: concurrent: calls in work; waiting: calls that may wait for their turn."""
        self._turns = asyncio.Semaphore(concurrent)
        self._limit = concurrent + waiting
        self.inside = 0

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Wait for a turn and hold it.

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
            async with self._turns:
                yield
        finally:
            self.inside -= 1
