"""Timestamps ↔ milliseconds since the epoch."""

from __future__ import annotations

from google.protobuf.timestamp_pb2 import Timestamp

from aigc.errors import InvalidInputError

__all__ = ["MAX_MS", "MIN_MS", "from_ms", "to_ms"]

_MIN_S, _MAX_S = -62_135_596_800, 253_402_300_799
MIN_MS, MAX_MS = 1000 * _MIN_S, 1000 * _MAX_S + 999


def to_ms(timestamp: Timestamp, field: str) -> int:
    """Milliseconds; InvalidInputError names ``field`` when the timestamp is none (AIP-142)."""
    if not (_MIN_S <= timestamp.seconds <= _MAX_S and 0 <= timestamp.nanos < 1_000_000_000):
        raise InvalidInputError(
            f"{field} is {timestamp.seconds} s and {timestamp.nanos} ns; give a time of the years 1 to 9999",
            field=field,
        )
    return timestamp.seconds * 1000 + timestamp.nanos // 1_000_000


def from_ms(milliseconds: int) -> Timestamp:
    """The timestamp."""
    return Timestamp(seconds=milliseconds // 1000, nanos=milliseconds % 1000 * 1_000_000)
