"""One writing process for each SQLite file."""

from __future__ import annotations

import fcntl
import os
import sys
from pathlib import Path

from aigc.errors import ConflictError

__all__ = ["StoreLock"]


class StoreLock:
    """Holds ``<database>.lock`` until released; the system releases it when the process ends, however it ends."""

    def __init__(self, database: Path) -> None:
        """Take the lock.

        Raises:
            ConflictError: Another process holds it; names its number and command.
        """
        path = database.with_name(database.name + ".lock")
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(self._fd, 1000, 0).decode(errors="replace").strip() or "another process"
            os.close(self._fd)
            raise ConflictError(
                f"the store {database} is in use by {holder}; stop it, or go through it with --server HOST:PORT",
                reason="STORE_LOCKED",
                metadata={"file": str(path), "holder": holder},
            ) from None
        os.ftruncate(self._fd, 0)
        os.pwrite(self._fd, f"process {os.getpid()} ({' '.join(sys.argv)[:200]})\n".encode(), 0)

    def release(self) -> None:
        """Let go; the file stays, since removing it would race with the next holder."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
