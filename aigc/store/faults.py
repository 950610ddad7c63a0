"""What databases raise → what this product raises."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from aigc.errors import AigcError, ConflictError, InvalidInputError, ResourceExhaustedError, UnavailableError

__all__ = ["translate", "translated"]

_PG_DISK_FULL = "53100"


def translate(error: Exception, where: str) -> AigcError:
    """The domain's error for a database's, ``where`` naming the store."""
    if isinstance(error, AigcError):
        return error
    cause = error.orig if isinstance(error, DBAPIError) else error
    text = str(cause).strip().splitlines()[0] if str(cause).strip() else type(cause).__name__
    full = "disk is full" in text or getattr(cause, "sqlstate", "") == _PG_DISK_FULL
    if full or (isinstance(cause, OSError) and cause.errno in (errno.ENOSPC, errno.EDQUOT)):
        return ResourceExhaustedError(
            f"the disk of the store {where} is full ({text}); nothing of this write was kept: free some space and "
            "write again",
            reason="DISK_FULL",
            retry_delay_ms=1000,
        )
    if "locked" in text or "readonly database" in text:
        return ConflictError(f"the store {where} is locked or read-only ({text})", reason="STORE_LOCKED")
    if isinstance(cause, UnicodeEncodeError | OverflowError) or "NUL" in text:
        return InvalidInputError(f"a value cannot be stored ({text}); remove NUL characters and lone surrogates")
    return UnavailableError(f"the store {where} does not answer ({text}); look at the database", reason="STORE_DOWN")


@contextmanager
def translated(where: str) -> Iterator[None]:
    """Translate what a block of database calls raises."""
    try:
        yield
    except (SQLAlchemyError, PoolTimeoutError, OSError, UnicodeEncodeError, OverflowError) as error:
        raise translate(error, where) from error
