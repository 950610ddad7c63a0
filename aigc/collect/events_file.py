"""Events from a CSV, TSV, JSONL or Parquet file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from aigc.collect.columns import EVENT_FIELDS, map_columns
from aigc.collect.parse import BadValueError, parse_id, parse_number, parse_time_ms
from aigc.collect.rejects import Rejects
from aigc.collect.table import open_table
from aigc.collect.text_source import START, Position, Progress
from aigc.entities import Event
from aigc.prepare.encoding import AUTO
from aigc.prepare.event_ids import event_id

__all__ = ["EventsFile"]


class EventsFile:
    """A file of events, read once from ``start`` to its end.

    A row without an id gets one made of its user, item, type, time and value, so that importing the file again changes
    nothing. A row without a type is a ``rating`` when the file has a value column, else a ``view``.

    Attributes:
        mapping: Field → column, as it was settled.
        encoding: Of the file; empty for Parquet.
    """

    def __init__(
        self,
        path: Path,
        rejects: Rejects,
        *,
        columns: Mapping[str, str] | None = None,
        event_type: str = "",
        encoding: str = AUTO,
        progress: Progress | None = None,
        start: Position = START,
    ) -> None:
        """Open, and settle which column is which.

        Args:
            path: The file.
            rejects: Told of each refused row.
            columns: Field → column, where the names do not say it.
            event_type: The type of every event, where the file has no such column.
            encoding: Of the file, or ``auto``.
            progress: Told of bytes read.
            start: Where an earlier reading of the same file stopped.

        Raises:
            InvalidInputError: No column can be the user, the item or the time; names the columns and the flag.
        """
        self._table = open_table(path, rejects, encoding=encoding, progress=progress, start=start)
        self.encoding = self._table.encoding
        self.mapping = map_columns(
            self._table.names, EVENT_FIELDS, ["user_id", "item_id", "time_ms"], columns or {}, path
        )
        self._rejects = rejects
        self._default_type = event_type or ("rating" if "value" in self.mapping else "view")

    @property
    def position(self) -> Position:
        """After the newest event given out."""
        return self._table.position

    def __iter__(self) -> Iterator[Event]:
        """The events that can be used, in the file's order."""
        mapping, default_type = self.mapping, self._default_type
        user_c, item_c, time_c = mapping["user_id"], mapping["item_id"], mapping["time_ms"]
        id_c, type_c, value_c = mapping.get("id"), mapping.get("type"), mapping.get("value")
        text_c, answer_c = mapping.get("text"), mapping.get("recommendation_id")
        for line, row in self._table.rows():
            column = user_c
            try:
                user_id = parse_id(row.get(user_c))
                column = item_c
                item_id = parse_id(row.get(item_c))
                column = time_c
                time_ms = parse_time_ms(row.get(time_c))
                if time_ms < 0:
                    raise BadValueError("is before 1970")
                value = None
                if value_c and row.get(value_c) not in (None, ""):
                    column = value_c
                    value = parse_number(row[value_c])
                kind = str(row.get(type_c) or default_type).strip() if type_c else default_type
                if id_c:
                    column = id_c
                    own_id = parse_id(row.get(id_c))
                else:
                    own_id = event_id(user_id, item_id, kind, time_ms, value)
            except BadValueError as error:
                self._rejects.add(line, column, row.get(column), str(error))
                continue
            yield Event(
                own_id,
                user_id,
                item_id,
                kind,
                time_ms,
                value,
                str(row.get(answer_c) or "") if answer_c else "",
                str(row.get(text_c) or "") if text_c else "",
            )
