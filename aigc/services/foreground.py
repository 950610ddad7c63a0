"""How many callers wait for generated content now: what is done in the background stands back while anyone does."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["Foreground"]


class Foreground:
    """A count; thread-safe."""

    def __init__(self) -> None:
        """Nobody waits."""
        self._lock = threading.Lock()
        self._waiting = 0

    @property
    def waiting(self) -> int:
        """Calls for generated content in work or in line."""
        return self._waiting

    @contextmanager
    def call(self) -> Iterator[None]:
        """Count a call for the length of a block."""
        with self._lock:
            self._waiting += 1
        try:
            yield
        finally:
            with self._lock:
                self._waiting -= 1
