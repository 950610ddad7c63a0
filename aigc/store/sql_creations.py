"""Records of what was generated, on SQLite or PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

from sqlalchemy import Connection, Engine, and_, func, or_, select

from aigc.entities import Creation, CreationState
from aigc.store import rows
from aigc.store.faults import translated
from aigc.store.schema import creations

__all__ = ["SqlCreations"]

_COUNTED = (CreationState.ADMITTED.value, CreationState.PENDING.value)


class SqlCreations:
    """See :class:`aigc.store.base.CreationStore`."""

    def __init__(
        self,
        engine: Engine,
        where: str,
        write: Callable[..., Future[Any]],
        replace: Callable[[Connection, Any, list[dict[str, Any]]], None],
    ) -> None:
        """Args: engine: to read with; where: names the store in errors; write, replace: the store's own."""
        self._engine = engine
        self._where = where
        self._write = write
        self._replace = replace

    def put(self, creation: Creation) -> None:
        """See :class:`CreationStore`."""
        row = rows.creation_row(creation)
        self._write(lambda connection: self._replace(connection, creations, [row])).result()

    def get(self, creation_or_item_id: str) -> Creation | None:
        """See :class:`CreationStore`."""
        wanted = or_(creations.c.id == creation_or_item_id, creations.c.item_id == creation_or_item_id)
        with translated(self._where), self._engine.connect() as connection:
            row = connection.execute(select(creations).where(wanted).limit(1)).mappings().first()
        return rows.creation_from_row(row) if row is not None else None  # type: ignore[arg-type]

    def list(
        self, *, state: str = "", user_id: str = "", limit: int = 100, before: tuple[int, str] | None = None
    ) -> list[Creation]:
        """See :class:`CreationStore`."""
        query = select(creations).order_by(creations.c.created_ms.desc(), creations.c.id.desc()).limit(limit)
        if state:
            query = query.where(creations.c.state == state)
        if user_id:
            query = query.where(creations.c.user_id == user_id)
        if before is not None:
            time_ms, last = before
            older = and_(creations.c.created_ms == time_ms, creations.c.id < last)
            query = query.where(or_(creations.c.created_ms < time_ms, older))
        with translated(self._where), self._engine.connect() as connection:
            return [rows.creation_from_row(row) for row in connection.execute(query).mappings()]  # type: ignore[arg-type]

    def count_admitted(self, *, since_ms: int, user_id: str = "") -> int:
        """See :class:`CreationStore`."""
        query = select(func.count()).select_from(creations)
        query = query.where(creations.c.created_ms >= since_ms, creations.c.state.in_(_COUNTED))
        if user_id:
            query = query.where(creations.c.user_id == user_id)
        with translated(self._where), self._engine.connect() as connection:
            return int(connection.scalar(query) or 0)
