"""Rows of CSV, TSV and JSONL files, one at a time, with their line numbers."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from aigc.collect.rejects import Rejects
from aigc.errors import InvalidInputError, NotFoundError

__all__ = ["Progress", "Row", "open_table"]

Row = tuple[int, dict[str, Any]]
Progress = Callable[[int, int], None]

_MAX_LINE = 1_000_000


def open_table(
    path: Path, rejects: Rejects, *, encoding: str = "utf-8", progress: Progress | None = None
) -> tuple[list[str], Iterator[Row]]:
    """The column names, and the rows as (line number, column → cell).

    Args:
        path: ``.csv``, ``.tsv``, ``.jsonl`` or ``.ndjson``.
        rejects: Told of malformed rows: of another length than the header, not decodable, longer than 1 MB.
        encoding: Of the text; a byte-order mark is left out.
        progress: Called now and then with bytes read and bytes in all.

    Raises:
        NotFoundError: No such file.
        InvalidInputError: Unknown extension, empty file, no header, a name twice, or nothing in this encoding.
    """
    if not path.is_file():
        raise NotFoundError(f"{path} is no file; give the path of one", reason="FILE_NOT_FOUND")
    suffix = path.suffix.lower()
    if suffix not in (".csv", ".tsv", ".jsonl", ".ndjson"):
        raise InvalidInputError(
            f"{path} has the extension {suffix or 'none'!r}; give .csv, .tsv or .jsonl", field="path"
        )
    lines = _lines(path, rejects, encoding, progress)
    if suffix in (".csv", ".tsv"):
        return _delimited(path, lines, "\t" if suffix == ".tsv" else ",", rejects)
    return _json_lines(path, lines, rejects)


def _lines(path: Path, rejects: Rejects, encoding: str, progress: Progress | None) -> Iterator[tuple[int, str]]:
    """Decoded lines with their ends; one that is too long, or not in the encoding, is refused."""
    total = path.stat().st_size
    try:
        "".encode(encoding)
    except LookupError:
        raise InvalidInputError(
            f"encoding {encoding!r} is not known; try utf-8, gb18030 or utf-16", field="encoding"
        ) from None
    done = number = 0
    with path.open("rb") as file:
        while raw := file.readline(_MAX_LINE + 1):
            number += 1
            done += len(raw)
            if len(raw) > _MAX_LINE and not raw.endswith(b"\n"):
                rejects.add(number, "", raw[:80], "line is longer than 1 MB")
                while raw and not raw.endswith(b"\n"):
                    raw = file.readline(_MAX_LINE)
                    done += len(raw)
                continue
            if number == 1 and raw.startswith(b"\xef\xbb\xbf"):
                raw = raw[3:]
            try:
                text = raw.decode(encoding)
            except UnicodeDecodeError as error:
                rejects.add(
                    number, "", raw[max(0, error.start - 10) : error.start + 10], f"is not {encoding} (see --encoding)"
                )
                continue
            if "\0" in text:
                rejects.add(number, "", text[:80], "holds a NUL character")
                continue
            if progress is not None and number % 5000 == 0:
                progress(done, total)
            yield number, text
    if progress is not None:
        progress(total, total)


def _delimited(
    path: Path, lines: Iterator[tuple[int, str]], delimiter: str, rejects: Rejects
) -> tuple[list[str], Iterator[Row]]:
    at = [0]

    def texts() -> Iterator[str]:
        for number, text in lines:
            at[0] = number
            yield text

    csv.field_size_limit(_MAX_LINE * 4)
    reader = csv.reader(texts(), delimiter=delimiter)
    try:
        header = next(reader, None)
    except csv.Error as error:
        raise InvalidInputError(f"{path} has no readable header: {error}", field="path") from error
    if header is None:
        raise InvalidInputError(f"{path} is empty; give a file with a header and rows", field="path")
    names = [name.strip() for name in header]
    _check_names(path, names)

    def rows() -> Iterator[Row]:
        while True:
            try:
                cells = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                rejects.add(at[0], "", "", f"malformed CSV: {error}")
                continue
            if not cells:
                continue
            if len(cells) != len(names):
                rejects.add(at[0], "", delimiter.join(cells), "has another number of cells than the header")
                continue
            yield at[0], dict(zip(names, cells, strict=True))

    return names, rows()


def _json_lines(path: Path, lines: Iterator[tuple[int, str]], rejects: Rejects) -> tuple[list[str], Iterator[Row]]:
    def rows() -> Iterator[Row]:
        for number, text in lines:
            if not text.strip():
                continue
            try:
                row = json.loads(text)
            except (ValueError, RecursionError):
                rejects.add(number, "", text, "is no JSON")
                continue
            if not isinstance(row, dict):
                rejects.add(number, "", text, "is no JSON object")
                continue
            yield number, row

    all_rows = rows()
    first = next(all_rows, None)
    if first is None:
        raise InvalidInputError(f"{path} holds no JSON object; give one object a line", field="path")
    names = list(first[1])

    def again() -> Iterator[Row]:
        yield first
        yield from all_rows

    return names, again()


def _check_names(path: Path, names: Sequence[str]) -> None:
    for i, name in enumerate(names):
        if name and name in names[:i]:
            raise InvalidInputError(f"{path} has the column {name!r} twice; rename one", field="columns")
