"""What other processes wrote into the same PostgreSQL database, told within milliseconds by LISTEN and NOTIFY.

A change is announced inside the transaction that makes it, so that it is told when it can be read and never otherwise.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, text
from sqlalchemy.engine import URL

from aigc.errors import UnavailableError

__all__ = ["Change", "Changes", "announce"]

_CHANNEL = "aigc"


@dataclass(frozen=True, slots=True)
class Change:
    """An announcement.

    Attributes:
        origin: Of which store object it comes.
        kind: ``events``, ``items`` or ``preferences``.
        user_id: Whose preferences.
        time_ms: When it was announced, by the writer's clock.
    """

    origin: str
    kind: str
    user_id: str
    time_ms: int


def announce(connection: Connection, origin: str, kind: str, user_id: str = "") -> None:
    """Tell the others when this transaction commits."""
    payload = json.dumps([origin, kind, user_id, int(time.time() * 1000)])
    connection.execute(text("SELECT pg_notify(:channel, :payload)"), {"channel": _CHANNEL, "payload": payload})


class Changes:
    """One listening connection; for one thread."""

    def __init__(self, url: URL, where: str) -> None:
        """Begin to listen.

        Raises:
            UnavailableError: The database does not answer.
        """
        import psycopg

        self._error = psycopg.Error
        self._where = where
        try:
            self._connection: Any = psycopg.connect(
                url.set(drivername="postgresql").render_as_string(hide_password=False),
                autocommit=True,
                connect_timeout=5,
            )
            self._connection.execute(f"LISTEN {_CHANNEL}")
        except psycopg.Error as error:
            raise self._lost(error) from error

    def wait(self, seconds: float) -> list[Change]:
        """What was announced: as soon as something is, or nothing after so long.

        Raises:
            UnavailableError: The connection was lost; what was announced meanwhile is not told.
        """
        try:
            found = list(self._connection.notifies(timeout=seconds, stop_after=1))
            if found:
                found += self._connection.notifies(timeout=0)
        except self._error as error:
            raise self._lost(error) from error
        return [Change(*json.loads(note.payload)) for note in found]

    def close(self) -> None:
        """Listen no more."""
        self._connection.close()

    def _lost(self, error: Exception) -> UnavailableError:
        return UnavailableError(f"the store {self._where} tells of no changes: {error}", reason="STORE_UNAVAILABLE")
