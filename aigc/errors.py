"""The exception tree.

AigcError
├── InvalidInputError       a value of the caller's is wrong: names the field, the value and the remedy
├── NotFoundError           the named thing does not exist
├── AlreadyExistsError      the named thing exists and may not be replaced
├── ConflictError           the state of the system forbids it now (a lock, a version, a precondition)
├── ResourceExhaustedError  a queue, a quota or the disk is full; may carry a retry delay
├── UnavailableError        a part that the call needs is not running or not ready
├── CancelledError          the caller left or the deadline passed before the work was done
└── CorruptDataError        a file does not match its checksum, its format or its declared shape
"""

from __future__ import annotations

from collections.abc import Mapping

__all__ = [
    "AigcError",
    "AlreadyExistsError",
    "CancelledError",
    "ConflictError",
    "CorruptDataError",
    "InvalidInputError",
    "NotFoundError",
    "ResourceExhaustedError",
    "UnavailableError",
]


class AigcError(Exception):
    """The root of every error that this product raises on purpose.

    Args:
        message: One sentence for a person: what is wrong, with the value, and the remedy.
        reason: UPPER_SNAKE_CASE, stable, for programs (``google.rpc.ErrorInfo.reason``).
        metadata: Further named strings for programs.
    """

    default_reason = "INTERNAL"

    def __init__(self, message: str, *, reason: str = "", metadata: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.reason = reason or self.default_reason
        self.metadata = dict(metadata or {})


class InvalidInputError(AigcError):
    """A value of the caller's is wrong; ``field`` is its path, such as ``items[3].created_ms``."""

    default_reason = "INVALID_INPUT"

    def __init__(
        self, message: str, *, field: str = "", reason: str = "", metadata: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(message, reason=reason, metadata=metadata)
        self.field = field


class NotFoundError(AigcError):
    """The named thing does not exist."""

    default_reason = "NOT_FOUND"


class AlreadyExistsError(AigcError):
    """The named thing exists and may not be replaced."""

    default_reason = "ALREADY_EXISTS"


class ConflictError(AigcError):
    """The state of the system forbids the call now."""

    default_reason = "CONFLICT"


class ResourceExhaustedError(AigcError):
    """A queue, a quota or the disk is full; try again after ``retry_delay_ms`` when that is above 0."""

    default_reason = "RESOURCE_EXHAUSTED"

    def __init__(
        self, message: str, *, retry_delay_ms: int = 0, reason: str = "", metadata: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(message, reason=reason, metadata=metadata)
        self.retry_delay_ms = retry_delay_ms


class UnavailableError(AigcError):
    """A part that the call needs is not running or not ready."""

    default_reason = "UNAVAILABLE"


class CancelledError(AigcError):
    """The caller left, or the deadline passed, before the work was done."""

    default_reason = "CANCELLED"


class CorruptDataError(AigcError):
    """A file does not match its checksum, its format or its declared shape."""

    default_reason = "CORRUPT_DATA"
