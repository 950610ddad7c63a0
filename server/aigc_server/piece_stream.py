"""A text's pieces for an event loop, as they are written by another thread."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import suppress

from aigc.services.text_generation import TextPiece, TextPieces

__all__ = ["arriving"]


async def arriving(pieces: TextPieces) -> AsyncGenerator[TextPiece, None]:
    """Each piece as it comes; leaving early ends the work."""
    loop, ready = asyncio.get_running_loop(), asyncio.Event()

    def wake() -> None:
        # The loop may be gone when the process ends.
        with suppress(RuntimeError):
            loop.call_soon_threadsafe(ready.set)

    pieces.listen(wake)
    try:
        while True:
            await ready.wait()
            ready.clear()
            if (taken := pieces.take()) is None:
                return
            for piece in taken:
                yield piece
            if taken:
                # The last piece may have been among them.
                ready.set()
    finally:
        pieces.cancel()
