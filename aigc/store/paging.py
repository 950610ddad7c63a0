"""Page tokens: opaque to callers, and of use for one listing only."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json

from aigc.errors import InvalidInputError

__all__ = ["next_token", "token_start"]


def next_token(last_id: str, *filters: object) -> str:
    """The token of the page after ``last_id`` in the listing that ``filters`` describe."""
    raw = json.dumps([last_id, _fingerprint(filters)])
    return base64.urlsafe_b64encode(raw.encode()).decode()


def token_start(token: str, *filters: object) -> str:
    """The id after which the page begins, empty for the first.

    Raises:
        InvalidInputError: The token is malformed, or of a listing with other filters.
    """
    if not token:
        return ""
    try:
        last_id, fingerprint = json.loads(base64.urlsafe_b64decode(token.encode()))
    except (ValueError, TypeError, binascii.Error):
        last_id, fingerprint = None, None
    if not isinstance(last_id, str) or fingerprint != _fingerprint(filters):
        raise InvalidInputError(
            f"page_token {token[:40]!r} is not one that this listing gave; begin again without it",
            field="page_token",
        )
    return last_id


def _fingerprint(filters: tuple[object, ...]) -> str:
    return hashlib.sha256(repr(filters).encode()).hexdigest()[:12]
