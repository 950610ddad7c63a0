"""Items from a CSV, TSV, JSONL or Parquet file."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from aigc.collect.columns import ITEM_FIELDS, map_columns
from aigc.collect.parse import BadValueError, parse_id, parse_time_ms, split_names
from aigc.collect.rejects import Rejects
from aigc.collect.table import open_table
from aigc.collect.text_source import START, Position, Progress
from aigc.entities import Item
from aigc.errors import InvalidInputError
from aigc.prepare.encoding import AUTO

__all__ = ["ItemsFile", "content_id", "title_of"]

_TITLE = 60


class ItemsFile:
    """A file of items, read once from ``start`` to its end.

    A row without an id gets one made of its title, author and text; one without a title is titled by its first line.
    A cell that is a list, such as the lines of a poem or the turns of a dialogue, becomes lines of text.

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
        kind: str = "text",
        encoding: str = AUTO,
        progress: Progress | None = None,
        start: Position = START,
    ) -> None:
        """Open, and settle which column is which.

        Args:
            path: The file.
            rejects: Told of each refused row.
            columns: Field → column, where the names do not say it.
            kind: Of items whose row has none.
            encoding: Of the file, or ``auto``.
            progress: Told of bytes read.
            start: Where an earlier reading of the same file stopped.

        Raises:
            InvalidInputError: No column can be the id, the title or the text; names the columns and the flag.
        """
        self._table = open_table(path, rejects, encoding=encoding, progress=progress, start=start)
        self.encoding = self._table.encoding
        self.mapping = map_columns(self._table.names, ITEM_FIELDS, [], columns or {}, path)
        if not self.mapping.keys() & {"id", "title", "text"}:
            raise InvalidInputError(
                f"{path} has no column recognised as id, title or text; it has: {', '.join(self._table.names)}. "
                "Name one: --column id=COLUMN",
                field="column",
            )
        self._kind = kind
        self._rejects = rejects

    @property
    def position(self) -> Position:
        """After the newest item given out."""
        return self._table.position

    def __iter__(self) -> Iterator[Item]:
        """The items that can be used, in the file's order."""
        mapping = self.mapping
        used = set(mapping.values())
        for line, row in self._table.rows():
            cells = {field: row.get(column) for field, column in mapping.items()}
            field = "id"
            try:
                text = {name: _text(cells.get(name)) for name in ("title", "text", "author", "language", "kind")}
                if "id" in mapping:
                    item_id = parse_id(cells["id"])
                else:
                    item_id = content_id(text["title"], text["author"], text["text"])
                field, created = "created_ms", 0
                if cells.get(field) not in (None, ""):
                    created = parse_time_ms(cells[field])
            except BadValueError as error:
                self._rejects.add(line, mapping.get(field, field), cells.get(field), str(error))
                continue
            yield Item(
                id=item_id,
                kind=text["kind"] or self._kind,
                title=text["title"] or title_of(text["text"]),
                text=text["text"],
                categories=split_names(cells.get("categories")),
                tags=split_names(cells.get("tags")),
                author=text["author"],
                language=text["language"],
                created_ms=created,
                attributes={
                    k: str(v) for k, v in row.items() if k and k not in used and isinstance(v, str | int | float)
                },
            )


def content_id(*parts: str) -> str:
    """An id made of what an item says: equal items have equal ids."""
    if not any(parts):
        raise BadValueError("is missing, and so is every text it could be made of")
    return "f-" + hashlib.blake2b("\x1f".join(parts).encode("utf-8", "surrogatepass"), digest_size=12).hexdigest()


def title_of(text: str) -> str:
    """The first line, shortened to 60 characters."""
    line = text.strip().partition("\n")[0].strip()
    return line if len(line) <= _TITLE else line[: _TITLE - 1] + "…"


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, list | tuple):
        return "\n".join(str(v) for v in value).strip()
    return str(value).strip()
