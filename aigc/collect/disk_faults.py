"""Failures of the disk, said in words."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from aigc.errors import InvalidInputError, ResourceExhaustedError

__all__ = ["disk_faults"]


@contextmanager
def disk_faults(path: Path) -> Iterator[None]:
    """Turn a failure to write ``path`` into ResourceExhaustedError (the disk is full) or InvalidInputError."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise ResourceExhaustedError(
                f"the disk is full: {path} cannot be written; free some space and repeat the command",
                reason="DISK_FULL",
            ) from error
        raise InvalidInputError(
            f"{path} cannot be written ({error.strerror}); give another folder", field="target"
        ) from error
