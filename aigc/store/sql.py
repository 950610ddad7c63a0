"""The store on SQLite or PostgreSQL."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from functools import lru_cache, partial
from itertools import islice
from typing import Any

import numpy as np
from sqlalchemy import Connection, Engine, Select, Table, delete, func, insert, select, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import URL
from sqlalchemy.sql import ColumnElement

from aigc.entities import Event, Item, ItemContent, Preferences
from aigc.errors import ConflictError
from aigc.store import rows
from aigc.store.base import EventBatch, ItemPage, LoggedRecommendation, StoreCounts, StoredEvent
from aigc.store.changes import Changes, announce
from aigc.store.connect import connect, parse_url, sqlite_file
from aigc.store.event_insert import insert_events
from aigc.store.faults import translated
from aigc.store.lock import StoreLock
from aigc.store.migrate import check_schema, upgrade_schema
from aigc.store.paging import next_token, token_start
from aigc.store.schema import contents, events, items, metadata, preferences, recommendations
from aigc.store.sql_creations import SqlCreations
from aigc.store.writer import GroupCommit

__all__ = ["SqlStore", "open_store"]

_IDS = 5000


def open_store(url: str, *, read_only: bool = False) -> SqlStore:
    """Open a store, creating and migrating it when it is opened for writing.

    Args:
        url: ``sqlite:///FILE`` or ``postgresql://…``.
        read_only: Open beside a writing process; every write is refused.

    Raises:
        InvalidInputError: The URL is wrong.
        ConflictError: Another process writes to the SQLite file, or the schema is newer than this version.
        UnavailableError: The database does not answer.
    """
    parsed = parse_url(url)
    path = sqlite_file(parsed)
    where = parsed.render_as_string()
    with translated(where):
        if path is not None and read_only and not path.exists():
            raise ConflictError(f"there is no store at {path} yet; import something first", reason="NO_STORE")
        if path is not None and not read_only:
            path.parent.mkdir(parents=True, exist_ok=True)
        lock = StoreLock(path) if path is not None and not read_only else None
        try:
            engine = connect(parsed, read_only=read_only)
            with engine.connect() as connection, connection.begin():
                (check_schema if read_only else upgrade_schema)(connection)
        except BaseException:
            if lock is not None:
                lock.release()
            raise
    return SqlStore(engine, parsed, lock, read_only=read_only)


class SqlStore:
    """See :class:`aigc.store.base.Store`. ``on_events`` is told of new events after the commit, before the caller."""

    def __init__(self, engine: Engine, url: URL, lock: StoreLock | None, *, read_only: bool) -> None:
        """:func:`open_store` is the way in."""
        self.url = url
        self.on_events: Callable[[EventBatch], None] | None = None
        self.origin = secrets.token_hex(8)
        self._engine = engine
        self._lock = lock
        self._sqlite = url.drivername == "sqlite"
        self._where = url.render_as_string()
        self._writer = None if read_only else GroupCommit(engine, self._where)
        self.creations = SqlCreations(engine, self._where, self._write, self._replace)

    @property
    def waiting_rows(self) -> int:
        """Rows that wait to be written."""
        return self._writer.waiting_rows if self._writer else 0

    @property
    def shared(self) -> bool:
        """Whether other processes may write beside this one."""
        return not self._sqlite

    def changes(self) -> Changes:
        """What is written from now on, by whomever; of a :attr:`shared` store.

        Raises:
            UnavailableError: The database does not answer.
        """
        return Changes(self.url, self._where)

    def listen_to_commits(self, told: Callable[[int, float], None]) -> None:
        """Have ``told`` called with the rows and the seconds of each transaction."""
        if self._writer is not None:
            self._writer.on_commit = told

    # --- items ----------------------------------------------------------------------------------

    def upsert_items(self, entries: Sequence[Item]) -> None:
        """See :class:`Store`."""
        unique = list({i.id: i for i in entries}.values())
        if not unique:
            return

        def run(connection: Connection) -> None:
            revision = self._next_revision(connection)
            self._replace(connection, items, [rows.item_row(i, revision + n) for n, i in enumerate(unique)])
            self._replace(
                connection,
                contents,
                [
                    {"item_id": i.id, "media_type": i.content.media_type, "data": i.content.data}
                    for i in unique
                    if i.content is not None
                ],
            )

        self._write(run, size=len(unique)).result()

    def get_items(self, ids: Sequence[str], *, with_content: bool = False) -> dict[str, Item]:
        """See :class:`Store`."""
        found: dict[str, Item] = {}
        unique = list(dict.fromkeys(ids))
        with translated(self._where), self._engine.connect() as connection:
            for start in range(0, len(unique), _IDS):
                part = unique[start : start + _IDS]
                data: dict[str, ItemContent] = {}
                if with_content:
                    data = {
                        r.item_id: ItemContent(r.media_type, bytes(r.data))
                        for r in connection.execute(select(contents).where(contents.c.item_id.in_(part)))
                    }
                query = select(items).where(items.c.id.in_(part), items.c.deleted.is_(False))
                for row in connection.execute(query).mappings():
                    found[row["id"]] = rows.item_from_row(row, data.get(row["id"]))  # type: ignore[arg-type]
        return {i: found[i] for i in unique if i in found}

    def list_items(
        self, *, page_size: int, page_token: str = "", kind: str = "", category: str = "", include_hidden: bool = True
    ) -> ItemPage:
        """See :class:`Store`."""
        start = token_start(page_token, kind, category, include_hidden)
        wanted: list[ColumnElement[bool]] = [items.c.deleted.is_(False)]
        if kind:
            wanted.append(items.c.kind == kind)
        if category:
            find = func.instr if self._sqlite else func.strpos
            wanted.append(find(items.c.categories, rows.json_text(category)) > 0)
        if not include_hidden:
            wanted.append(items.c.hidden.is_(False))
        with translated(self._where), self._engine.connect() as connection:
            total = connection.scalar(select(func.count()).select_from(items).where(*wanted)) or 0
            query = select(items).where(*wanted, items.c.id > start).order_by(items.c.id).limit(page_size + 1)
            page = [rows.item_from_row(r) for r in connection.execute(query).mappings()]  # type: ignore[arg-type]
        more = len(page) > page_size
        page = page[:page_size]
        token = next_token(page[-1].id, kind, category, include_hidden) if more and page else ""
        return ItemPage(tuple(page), token, total)

    def delete_items(self, ids: Sequence[str]) -> int:
        """See :class:`Store`."""
        unique = list(dict.fromkeys(ids))

        def run(connection: Connection) -> int:
            live: list[str] = []
            for start in range(0, len(unique), _IDS):
                part = unique[start : start + _IDS]
                live += connection.scalars(
                    select(items.c.id).where(items.c.id.in_(part), items.c.deleted.is_(False))
                ).all()
            revision = self._next_revision(connection)
            tombstones = [rows.item_row(Item(i), revision + n) | {"deleted": True} for n, i in enumerate(sorted(live))]
            self._replace(connection, items, tombstones)
            for start in range(0, len(live), _IDS):
                connection.execute(delete(contents).where(contents.c.item_id.in_(live[start : start + _IDS])))
            return len(live)

        return self._write(run, size=len(unique)).result() if unique else 0

    def iterate_items(
        self, *, since_revision: int = 0, batch_size: int = 1000, include_deleted: bool = False
    ) -> Iterator[list[tuple[int, Item | str]]]:
        """See :class:`Store`."""
        while True:
            query = select(items).where(items.c.revision > since_revision)
            if not include_deleted:
                query = query.where(items.c.deleted.is_(False))
            with translated(self._where), self._engine.connect() as connection:
                found = connection.execute(query.order_by(items.c.revision).limit(batch_size)).mappings().all()
            if not found:
                return
            since_revision = found[-1]["revision"]
            yield [
                (r["revision"], r["id"] if r["deleted"] else rows.item_from_row(r))  # type: ignore[arg-type]
                for r in found
            ]

    def iterate_contents(self, ids: Sequence[str]) -> Iterator[tuple[str, ItemContent]]:
        """See :class:`Store`."""
        for start in range(0, len(ids), 256):
            query = select(contents).where(contents.c.item_id.in_(list(ids[start : start + 256])))
            with translated(self._where), self._engine.connect() as connection:
                found = connection.execute(query).all()
            for row in found:
                yield row.item_id, ItemContent(row.media_type, bytes(row.data))

    # --- events ---------------------------------------------------------------------------------

    def record_events(self, entries: Sequence[Event]) -> list[bool]:
        """See :class:`Store`."""
        return self.submit_events(entries).result()

    def submit_events(self, entries: Sequence[Event]) -> Future[list[bool]]:
        """As :meth:`record_events`, without waiting."""
        done: Future[list[bool]] = Future()
        if not entries:
            done.set_result([])
            return done

        def after(result: tuple[list[bool], EventBatch]) -> None:
            if self.on_events is not None and len(result[1].seqs):
                self.on_events(result[1])

        written = self._write(lambda c: self._insert_events(c, entries), size=len(entries), after=after)

        def settle(finished: Future[tuple[list[bool], EventBatch]]) -> None:
            if not done.set_running_or_notify_cancel():
                # Who asked has gone; what was accepted is stored all the same.
                return
            error = finished.exception()
            if error is not None:
                done.set_exception(error)
            else:
                done.set_result(finished.result()[0])

        written.add_done_callback(settle)
        return done

    def iterate_events(self, *, since_seq: int = 0, batch_size: int = 50_000) -> Iterator[EventBatch]:
        """See :class:`Store`."""
        columns = (events.c.seq, events.c.user_id, events.c.item_id, events.c.type, events.c.value, events.c.time_ms)
        while True:
            query = select(*columns).where(events.c.seq > since_seq).order_by(events.c.seq).limit(batch_size)
            with translated(self._where), self._engine.connect() as connection:
                found = connection.execute(query).all()
            if not found:
                return
            seqs, users, ids, types, values, times = zip(*found, strict=True)
            since_seq = seqs[-1]
            yield EventBatch(
                np.array(seqs, np.int64),
                users,
                ids,
                types,
                np.array([np.nan if v is None else v for v in values], np.float64),
                np.array(times, np.int64),
            )

    def user_events(self, user_id: str, *, limit: int = 0) -> list[StoredEvent]:
        """See :class:`Store`."""
        query: Select[Any] = select(events).where(events.c.user_id == user_id)
        query = query.order_by(events.c.time_ms.desc(), events.c.seq.desc())
        if limit > 0:
            query = query.limit(limit)
        with translated(self._where), self._engine.connect() as connection:
            found = connection.execute(query).mappings().all()
        return [StoredEvent(r["seq"], rows.event_from_row(r)) for r in reversed(found)]  # type: ignore[arg-type]

    # --- preferences, answers, counts -------------------------------------------------------------

    def get_preferences(self, user_id: str) -> Preferences | None:
        """See :class:`Store`."""
        row = self._first(select(preferences).where(preferences.c.user_id == user_id))
        return rows.preferences_from_row(row) if row is not None else None

    def put_preferences(self, declared: Preferences) -> None:
        """See :class:`Store`."""

        def run(connection: Connection) -> None:
            self._replace(connection, preferences, [rows.preferences_row(declared)])
            self._announce(connection, "preferences", declared.user_id)

        self._write(run).result()

    def iterate_preferences(self) -> Iterator[Preferences]:
        """See :class:`Store`."""
        last = ""
        while True:
            query = select(preferences).where(preferences.c.user_id > last).order_by(preferences.c.user_id)
            with translated(self._where), self._engine.connect() as connection:
                found = connection.execute(query.limit(1000)).mappings().all()
            if not found:
                return
            last = found[-1]["user_id"]
            for row in found:
                yield rows.preferences_from_row(row)  # type: ignore[arg-type]

    def log_recommendations(self, answers: Sequence[LoggedRecommendation]) -> None:
        """See :class:`Store`."""
        if answers:
            entries = [rows.recommendation_row(a) for a in answers]
            self._write(lambda c: self._replace(c, recommendations, entries), size=len(entries)).result()

    def get_recommendation(self, recommendation_id: str) -> LoggedRecommendation | None:
        """See :class:`Store`."""
        row = self._first(select(recommendations).where(recommendations.c.id == recommendation_id))
        return rows.recommendation_from_row(row) if row is not None else None

    def iterate_recommendations(self, *, since_ms: int = 0) -> Iterator[list[LoggedRecommendation]]:
        """See :class:`Store`."""
        query = select(recommendations).where(recommendations.c.created_ms >= since_ms)
        query = query.order_by(recommendations.c.created_ms, recommendations.c.id)
        with translated(self._where), self._engine.connect() as connection:
            for part in connection.execution_options(yield_per=1000).execute(query).mappings().partitions():
                yield [rows.recommendation_from_row(row) for row in part]  # type: ignore[arg-type]

    def positions(self) -> Mapping[str, int]:
        """See :class:`Store`."""
        with translated(self._where), self._engine.connect() as connection:
            return {
                "event_seq": connection.scalar(select(func.max(events.c.seq))) or 0,
                "item_revision": connection.scalar(select(func.max(items.c.revision))) or 0,
            }

    def counts(self) -> StoreCounts:
        """See :class:`Store`."""
        with translated(self._where), self._engine.connect() as connection:
            return StoreCounts(
                items=connection.scalar(select(func.count()).select_from(items).where(items.c.deleted.is_(False))) or 0,
                events=connection.scalar(select(func.count()).select_from(events)) or 0,
                users=connection.scalar(select(func.count(events.c.user_id.distinct()))) or 0,
            )

    # --- whole tables, for backup -------------------------------------------------------------------

    @property
    def table_names(self) -> list[str]:
        """The tables of the schema."""
        return [table.name for table in metadata.sorted_tables]

    def dump_table(self, name: str) -> Iterator[dict[str, Any]]:
        """Every row of a table, in order of its primary key, a thousand at a time in memory."""
        table = metadata.tables[name]
        query = select(table).order_by(*table.primary_key.columns)
        with translated(self._where), self._engine.connect() as connection:
            for row in connection.execution_options(yield_per=1000).execute(query).mappings():
                yield dict(row)

    def load_table(self, name: str, entries: Iterator[dict[str, Any]]) -> None:
        """Insert rows that :meth:`dump_table` gave, their numbers included."""
        table = metadata.tables[name]
        while batch := list(islice(entries, 1000)):
            self._write(partial(_insert, table=table, batch=batch), size=len(batch)).result()

    def close(self) -> None:
        """See :class:`Store`."""
        if self._writer is not None:
            self._writer.close()
        self._engine.dispose()
        if self._lock is not None:
            self._lock.release()

    # --- how ------------------------------------------------------------------------------------

    def _write(self, run: Callable[[Connection], Any], **options: Any) -> Future[Any]:
        if self._writer is None:
            raise ConflictError(f"the store {self._where} was opened for reading only", reason="STORE_READ_ONLY")
        return self._writer.submit(run, **options)

    def _first(self, query: Select[Any]) -> Mapping[str, Any] | None:
        with translated(self._where), self._engine.connect() as connection:
            return connection.execute(query).mappings().first()  # type: ignore[return-value]

    def _replace(self, connection: Connection, table: Any, entries: list[dict[str, Any]]) -> None:
        """Insert or replace by primary key."""
        if entries:
            connection.execute(_replacement(table, self._sqlite), entries)

    def _next_revision(self, connection: Connection) -> int:
        # On PostgreSQL other processes may write: revisions rise in the order of the commits.
        if not self._sqlite:
            connection.execute(text("SELECT pg_advisory_xact_lock(7301)"))
        self._announce(connection, "items")
        return (connection.scalar(select(func.max(items.c.revision))) or 0) + 1

    def _announce(self, connection: Connection, kind: str, user_id: str = "") -> None:
        if self.shared:
            announce(connection, self.origin, kind, user_id)

    def _insert_events(self, connection: Connection, entries: Sequence[Event]) -> tuple[list[bool], EventBatch]:
        is_new, batch = insert_events(connection, entries)
        if any(is_new):
            self._announce(connection, "events")
        return is_new, batch


@lru_cache
def _replacement(table: Table, sqlite_: bool) -> Any:
    statement: Any = (sqlite if sqlite_ else postgresql).insert(table)
    key = list(table.primary_key.columns)
    changed = {c.name: statement.excluded[c.name] for c in table.columns if not c.primary_key}
    return statement.on_conflict_do_update(index_elements=key, set_=changed)


def _insert(connection: Connection, *, table: Table, batch: list[dict[str, Any]]) -> None:
    connection.execute(insert(table), batch)
