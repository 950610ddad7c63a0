"""URL → SQLAlchemy engine, with what durability needs switched on."""

from __future__ import annotations

import importlib
from pathlib import Path
from types import ModuleType
from typing import Any

from sqlalchemy import Engine, create_engine, event, make_url
from sqlalchemy.engine import URL
from sqlalchemy.exc import ArgumentError

from aigc.errors import InvalidInputError, UnavailableError

__all__ = ["connect", "parse_url", "sqlite_file"]

# Older libraries can corrupt the WAL when it is reset under several connections (fixed in 3.51.3).
_SQLITE_NEEDED = (3, 51, 3)


def parse_url(text: str) -> URL:
    """Check a store's URL.

    Raises:
        InvalidInputError: It is no URL of SQLite or PostgreSQL.
    """
    remedy = "give sqlite:///FILE or postgresql://USER@HOST/DATABASE"
    try:
        url = make_url(text)
    except ArgumentError:
        raise InvalidInputError(f"store.url is {text!r}, no database URL; {remedy}", field="store.url") from None
    if url.drivername in ("postgresql", "postgres"):
        return url.set(drivername="postgresql+psycopg")
    if url.drivername not in ("sqlite", "postgresql+psycopg"):
        raise InvalidInputError(f"store.url is for {url.drivername!r}; {remedy}", field="store.url")
    if url.drivername == "sqlite" and not url.database:
        raise InvalidInputError(f"store.url {text!r} names no file; {remedy}", field="store.url")
    return url


def sqlite_file(url: URL) -> Path | None:
    """The file of a SQLite URL, None for PostgreSQL."""
    return Path(str(url.database)) if url.drivername == "sqlite" else None


def connect(url: URL, *, read_only: bool) -> Engine:
    """An engine; PostgreSQL connections are tested before use, SQLite ones are durable and checked for age."""
    if url.drivername != "sqlite":
        try:
            return create_engine(url, pool_pre_ping=True, pool_size=8, max_overflow=16, pool_timeout=10)
        except ModuleNotFoundError as error:
            raise UnavailableError(
                "PostgreSQL needs the extra: pip install 'aigc[postgres]'", reason="MISSING_EXTRA"
            ) from error
    path = Path(str(url.database))
    if not read_only:
        path.parent.mkdir(parents=True, exist_ok=True)
    engine = create_engine(
        f"sqlite:///{path}", module=_sqlite(), connect_args={"check_same_thread": False, "timeout": 30}
    )

    @event.listens_for(engine, "connect")
    def _prepare(connection: Any, _: object) -> None:
        # The driver's own transaction handling would commit behind SQLAlchemy's back.
        connection.isolation_level = None
        for pragma in (
            "foreign_keys = ON",
            "synchronous = FULL",
            "journal_mode = WAL",
            "cache_size = -131072",
            "wal_autocheckpoint = 10000",
        ):
            if not (read_only and pragma.startswith("journal_mode")):
                connection.execute(f"PRAGMA {pragma}")
        if read_only:
            connection.execute("PRAGMA query_only = ON")

    @event.listens_for(engine, "begin")
    def _begin(connection: Any) -> None:
        connection.exec_driver_sql("BEGIN" if read_only else "BEGIN DEFERRED")

    return engine


def _sqlite() -> ModuleType:
    for name in ("pysqlite3.dbapi2", "sqlite3"):
        try:
            module = importlib.import_module(name)
        except ModuleNotFoundError:
            continue
        if module.sqlite_version_info >= _SQLITE_NEEDED:
            return module
    raise UnavailableError(
        "the SQLite library is older than 3.51.3, which can corrupt a database; pip install pysqlite3",
        reason="OLD_SQLITE",
    )
