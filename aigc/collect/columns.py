"""Which column is which: said by flags, or guessed from common names."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path

from aigc.errors import InvalidInputError

__all__ = ["EVENT_FIELDS", "ITEM_FIELDS", "map_columns", "parse_mapping", "read_mapping"]

# Field → the column names it is known by, in lower case without _, - and spaces.
ITEM_FIELDS: Mapping[str, Sequence[str]] = {
    "id": ("id", "itemid", "item", "movieid", "productid", "sku", "asin", "articleid", "contentid", "bookid"),
    "title": ("title", "name", "headline", "productname", "zh", "en"),
    "text": (
        "text",
        "description",
        "body",
        "content",
        "abstract",
        "summary",
        "overview",
        "lines",
        "turns",
        "paragraphs",
    ),
    "categories": ("categories", "category", "genres", "genre", "topic", "topics", "group"),
    "tags": ("tags", "tag", "keywords", "labels"),
    "author": ("author", "artist", "brand", "creator", "seller"),
    "language": ("language", "lang", "locale"),
    "kind": ("kind", "contenttype", "mediatype"),
    "created_ms": ("createdms", "created", "createdat", "date", "published", "publishedat", "timestamp", "time"),
}
EVENT_FIELDS: Mapping[str, Sequence[str]] = {
    "id": ("eventid", "id", "uuid"),
    "user_id": ("userid", "user", "uid", "customerid", "visitorid", "memberid"),
    "item_id": ("itemid", "item", "movieid", "productid", "sku", "asin", "articleid", "contentid", "bookid"),
    "type": ("type", "event", "eventtype", "action", "behavior", "behaviour"),
    "value": ("value", "rating", "stars", "score"),
    "time_ms": ("timestamp", "time", "ts", "timems", "createdat", "date", "eventtime", "datetime"),
    "text": ("text", "comment", "review", "body"),
    "recommendation_id": ("recommendationid",),
}


def parse_mapping(flags: Sequence[str], fields: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """``FIELD=COLUMN`` flags → field → column.

    Raises:
        InvalidInputError: A flag has another form, or names no field.
    """
    mapping = {}
    for flag in flags:
        field, equals, column = flag.partition("=")
        if not equals or field not in fields:
            raise InvalidInputError(
                f"--column {flag!r}: give FIELD=COLUMN, with FIELD one of {', '.join(fields)}", field="column"
            )
        mapping[field] = column
    return mapping


def read_mapping(path: Path, fields: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """The ``[columns]`` of a TOML file: ``field = "column"``, one a line.

    Raises:
        InvalidInputError: The file cannot be read, is no TOML, or names something that is no field.
    """
    try:
        columns = tomllib.loads(path.read_text(encoding="utf-8")).get("columns")
    except (OSError, ValueError) as error:
        raise InvalidInputError(f"--mapping {path}: {error}", field="mapping") from error
    if not isinstance(columns, dict) or not all(isinstance(c, str) for c in columns.values()):
        raise InvalidInputError(
            f'--mapping {path}: give a table [columns] with lines such as id = "sku"', field="mapping"
        )
    return parse_mapping([f"{field}={column}" for field, column in columns.items()], fields)


def map_columns(
    names: Sequence[str],
    fields: Mapping[str, Sequence[str]],
    required: Sequence[str],
    given: Mapping[str, str],
    where: object,
) -> dict[str, str]:
    """Field → column: what is given, and for the rest the first known name that the file has.

    Raises:
        InvalidInputError: A given column is not there, or a required field has none.
    """
    for field, column in given.items():
        if column not in names:
            raise InvalidInputError(
                f"{where} has no column {column!r} for {field}; it has: {', '.join(names)}", field="column"
            )
    plain = {name.lower().replace("_", "").replace("-", "").replace(" ", ""): name for name in reversed(names)}
    mapping = dict(given)
    for field, known in fields.items():
        if field not in mapping:
            free = [plain[k] for k in known if k in plain and plain[k] not in mapping.values()]
            if free:
                mapping[field] = free[0]
    for field in required:
        if field not in mapping:
            raise InvalidInputError(
                f"{where} has no column recognised as {field}; it has: {', '.join(names)}. "
                f"Name it: --column {field}=COLUMN",
                field="column",
            )
    return mapping
