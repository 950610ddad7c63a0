"""Items from a CSV, TSV or JSONL file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from aigc.collect.columns import ITEM_FIELDS, map_columns
from aigc.collect.parse import BadValueError, parse_id, parse_time_ms, split_names
from aigc.collect.rejects import Rejects
from aigc.collect.table import Progress, open_table
from aigc.entities import Item

__all__ = ["read_items"]


def read_items(
    path: Path,
    rejects: Rejects,
    *,
    columns: Mapping[str, str] | None = None,
    kind: str = "text",
    encoding: str = "utf-8",
    progress: Progress | None = None,
) -> tuple[dict[str, str], Iterator[Item]]:
    """The mapping that was settled on, and the items.

    Args:
        path: The file.
        rejects: Told of each refused row.
        columns: Field → column, where the names do not say it.
        kind: Of items whose row has none.
        encoding: Of the file.
        progress: Told of bytes read.

    Raises:
        InvalidInputError: No column can be the id; names the columns and the flag.
    """
    names, rows = open_table(path, rejects, encoding=encoding, progress=progress)
    mapping = map_columns(names, ITEM_FIELDS, ["id"], columns or {}, path)

    def items() -> Iterator[Item]:
        for line, row in rows:
            field = "id"
            try:
                item_id = parse_id(row.get(mapping["id"]))
                created, field = 0, "created_ms"
                when = row.get(mapping.get(field, ""))
                if when not in (None, ""):
                    created = parse_time_ms(when)
            except BadValueError as error:
                rejects.add(line, mapping[field], row.get(mapping[field]), str(error))
                continue

            def text(name: str, row: Mapping[str, object] = row) -> str:
                value = row.get(mapping.get(name, ""))
                return "" if value is None else str(value).strip()

            used = set(mapping.values())
            yield Item(
                id=item_id,
                kind=text("kind") or kind,
                title=text("title"),
                text=text("text"),
                categories=split_names(row.get(mapping.get("categories", ""))),
                tags=split_names(row.get(mapping.get("tags", ""))),
                author=text("author"),
                language=text("language"),
                created_ms=created,
                attributes={
                    k: str(v) for k, v in row.items() if k and k not in used and isinstance(v, str | int | float)
                },
            )

    return mapping, items()
