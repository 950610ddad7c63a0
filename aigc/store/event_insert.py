"""Events into their table: each id once, and it is said which were new."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import compress
from typing import Any

import numpy as np
from sqlalchemy import Connection, select, text
from sqlalchemy.dialects import postgresql

from aigc.entities import Event
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
    # Columns first, rows out of them: a third of the time that a tuple made of each event takes.
    columns = _columns(range(first, first + len(entries)), entries)
    if on_sqlite:
        done = connection.exec_driver_sql(_INSERT, list(zip(*columns, strict=True))).rowcount
    else:
        statement = postgresql.insert(events).on_conflict_do_nothing(index_elements=["id"])
        rows = [dict(zip(_COLUMNS, values, strict=True)) for values in zip(*columns, strict=True)]
        done = connection.execute(statement, rows).rowcount
    if done == len(entries):
        return [True] * done, _batch(columns)
    # Nobody else can have written since: what stands from the first number on is what was new.
    stored = set(connection.scalars(select(events.c.seq).where(events.c.seq >= first)))
    is_new = [seq in stored for seq in columns[0]]
    return is_new, _batch([list(compress(column, is_new)) for column in columns])


def _columns(seqs: Sequence[int], entries: Sequence[Event]) -> list[Sequence[Any]]:
    """In the order of ``_COLUMNS``."""
    return [
        seqs,
        [e.id for e in entries],
        [e.user_id for e in entries],
        [e.item_id for e in entries],
        [e.type for e in entries],
        [e.time_ms for e in entries],
        [e.value for e in entries],
        [e.recommendation_id for e in entries],
        [e.text for e in entries],
    ]


def _batch(columns: Sequence[Sequence[Any]]) -> EventBatch:
    """Events just stored, as their readers want them."""
    seqs, _, users, items, types, times_ms, values, *_ = columns
    return EventBatch(
        np.array(seqs, np.int64),
        users,
        items,
        types,
        np.array([np.nan if value is None else value for value in values], np.float64),
        np.array(times_ms, np.int64),
    )
