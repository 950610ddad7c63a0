"""Rows of CSV, TSV, JSONL and Parquet files, one at a time, with their line numbers."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePath
from typing import Any, Protocol

from aigc.collect.parquet import ParquetTable
from aigc.collect.quoted import QuotedLines
from aigc.collect.rejects import Rejects
from aigc.collect.text_source import START, Position, Progress, TextSource
from aigc.errors import InvalidInputError
from aigc.prepare.encoding import AUTO

__all__ = ["FORMATS", "Row", "Table", "open_table"]

Row = tuple[int, dict[str, Any]]

FORMATS = (".csv", ".tsv", ".jsonl", ".ndjson", ".parquet")
_MAX_CELL = 4_000_000


class Table(Protocol):
    """Rows of named cells.

    Attributes:
        names: The columns, in the file's order.
        encoding: The text's codec; empty where the format settles it.
    """

    names: list[str]
    encoding: str

    @property
    def position(self) -> Position:
        """After the newest row given out."""
        ...

    def rows(self) -> Iterator[Row]:
        """(line number, column → cell), from where reading started."""
        ...


def open_table(
    path: Path,
    rejects: Rejects,
    *,
    encoding: str = AUTO,
    progress: Progress | None = None,
    start: Position = START,
) -> Table:
    """The table in a file.

    Args:
        path: ``.csv``, ``.tsv``, ``.jsonl`` or ``.ndjson``, each also with ``.gz`` behind, or ``.parquet``.
        rejects: Told of malformed rows: of another length than the header, not decodable, longer than 1 MB.
        encoding: Of the text; ``auto`` finds it out. A byte-order mark is left out.
        progress: Called now and then with bytes read and bytes in all.
        start: Where an earlier reading of the same file stopped.

    Raises:
        NotFoundError: No such file.
        InvalidInputError: Unknown extension, empty file, no header, a name twice, or nothing in this encoding.
    """
    suffix = PurePath(path.name[:-3] if path.name.lower().endswith(".gz") else path.name).suffix.lower()
    if path.is_file() and suffix not in FORMATS:
        raise InvalidInputError(
            f"{path} has the extension {suffix or 'none'!r}; give one of {', '.join(FORMATS)} (text also gzipped)",
            field="path",
        )
    if suffix == ".parquet":
        return ParquetTable(path, progress=progress, start=start)
    header = TextSource(path, rejects, encoding=encoding)
    source = TextSource(path, rejects, encoding=header.encoding, progress=progress, start=start)
    if suffix in (".csv", ".tsv"):
        return DelimitedTable(header, source, "\t" if suffix == ".tsv" else ",", rejects)
    return JsonLinesTable(header, source, rejects)


class DelimitedTable:
    """CSV or TSV with a header."""

    def __init__(self, header: TextSource, source: TextSource, delimiter: str, rejects: Rejects) -> None:
        """Read the header."""
        csv.field_size_limit(_MAX_CELL)
        self.encoding = source.encoding
        self._lines = QuotedLines(source, delimiter, rejects)
        self._delimiter = delimiter
        self._rejects = rejects
        try:
            first = next(csv.reader((text for _, text in header.lines()), delimiter=delimiter), None)
        except csv.Error as error:
            raise InvalidInputError(f"{source.path} has no readable header: {error}", field="path") from error
        if first is None:
            raise InvalidInputError(f"{source.path} is empty; give a file with a header and rows", field="path")
        self.names = [name.strip() for name in first]
        _check_names(source.path, self.names)
        self._skip_header = source.position == START

    @property
    def position(self) -> Position:
        """See :class:`Table`."""
        return self._lines.position

    def rows(self) -> Iterator[Row]:
        """See :class:`Table`."""
        names, lines = self.names, self._lines
        width = len(names)
        reader = csv.reader(lines, delimiter=self._delimiter)
        if self._skip_header:
            next(reader)
        while True:
            try:
                cells = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                self._rejects.add(lines.line, "", "", f"malformed CSV: {error}")
                continue
            if len(cells) == width:
                yield lines.line, dict(zip(names, cells))  # noqa: B905 - as many
            elif cells:
                self._rejects.add(
                    lines.line, "", self._delimiter.join(cells), "has another number of cells than the header"
                )


class JsonLinesTable:
    """One JSON object a line; the columns are the keys of the first."""

    def __init__(self, header: TextSource, source: TextSource, rejects: Rejects) -> None:
        """Read the first object."""
        self.encoding = source.encoding
        self._source = source
        self._rejects = rejects
        first = next((row for _, row in _objects(header, Rejects(None))), None)
        if first is None:
            raise InvalidInputError(f"{source.path} holds no JSON object; give one object a line", field="path")
        self.names = list(first)

    @property
    def position(self) -> Position:
        """See :class:`Table`."""
        return self._source.position

    def rows(self) -> Iterator[Row]:
        """See :class:`Table`."""
        yield from _objects(self._source, self._rejects)


def _objects(source: TextSource, rejects: Rejects) -> Iterator[Row]:
    for number, text in source.lines():
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


def _check_names(path: Path, names: Sequence[str]) -> None:
    for i, name in enumerate(names):
        if name and name in names[:i]:
            raise InvalidInputError(f"{path} has the column {name!r} twice; rename one", field="columns")
