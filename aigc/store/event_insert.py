"""Events into their table: each id once, and it is said which were new."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import compress

from sqlalchemy import Connection, select, text
from sqlalchemy.dialects import postgresql

from aigc.entities import Event
from aigc.store import rows
from aigc.store.base import EventBatch
from aigc.store.schema import events

__all__ = ["insert_events"]

_LOCK = 7302
_COLUMNS = ("seq", "id", "user_id", "item_id", "type", "time_ms", "value", "recommendation_id", "text")
_INSERT = f"INSERT INTO events ({', '.join(_COLUMNS)}) VALUES (?,?,?,?,?,?,?,?,?) ON CONFLICT (id) DO NOTHING"  # noqa: S608


def insert_events(connection: Connection, entries: Sequence[Event]) -> tuple[list[bool], EventBatch]:
    """Insert those whose id is not known, in a transaction that the caller commits.

    Args:
        connection: In a transaction.
        entries: In the order in which they are to be counted; of two with one id the first counts.

    Returns:
        True at i where ``entries[i]`` was new, and the new ones as columns. Their numbers rise and go on from the
        highest that is stored; one that was known leaves its number out.
    """
    on_sqlite = connection.dialect.name == "sqlite"
    if not on_sqlite:
        # Other processes may write: numbers rise in the order of the commits.
        connection.execute(text(f"SELECT pg_advisory_xact_lock({_LOCK})"))
    first = (connection.exec_driver_sql("SELECT max(seq) FROM events").scalar() or 0) + 1
    seqs = range(first, first + len(entries))
    values = [
        (seq, e.id, e.user_id, e.item_id, e.type, e.time_ms, e.value, e.recommendation_id, e.text)
        for seq, e in zip(seqs, entries, strict=True)
    ]
    if on_sqlite:
        done = connection.exec_driver_sql(_INSERT, values).rowcount
    else:
        statement = postgresql.insert(events).on_conflict_do_nothing(index_elements=["id"])
        done = connection.execute(statement, [dict(zip(_COLUMNS, v, strict=True)) for v in values]).rowcount
    if done == len(entries):
        return [True] * done, rows.event_batch(seqs, entries)
    # Nobody else can have written since: what stands from the first number on is what was new.
    stored = set(connection.scalars(select(events.c.seq).where(events.c.seq >= first)))
    is_new = [seq in stored for seq in seqs]
    return is_new, rows.event_batch(list(compress(seqs, is_new)), list(compress(entries, is_new)))
