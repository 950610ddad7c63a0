"""Ids for events that come without one: the same event always gets the same."""

from __future__ import annotations

import hashlib

__all__ = ["event_id"]


def event_id(user_id: str, item_id: str, event_type: str, time_ms: int, value: float | None) -> str:
    """``f-`` and 24 hexadecimal digits of the BLAKE2b hash of what makes the event what it is."""
    key = f"{user_id}\x1f{item_id}\x1f{event_type}\x1f{time_ms}\x1f{value}".encode()
    return "f-" + hashlib.blake2b(key, digest_size=12).hexdigest()
