"""Parquet files, a batch of rows at a time (the extra ``parquet``)."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime
from pathlib import Path
from typing import Any

from aigc.collect.text_source import START, Position, Progress
from aigc.errors import InvalidInputError, NotFoundError, UnavailableError

__all__ = ["ParquetTable"]

_BATCH = 10_000


class ParquetTable:
    """Rows of a Parquet file; a row's number stands for its line. See :class:`aigc.collect.table.Table`."""

    encoding = ""

    def __init__(self, path: Path, *, progress: Progress | None = None, start: Position = START) -> None:
        """Open.

        Raises:
            NotFoundError: No such file.
            UnavailableError: pyarrow is not installed.
            InvalidInputError: The file is no Parquet file.
        """
        if not path.is_file():
            raise NotFoundError(f"{path} is no file; give the path of one", reason="FILE_NOT_FOUND")
        try:
            import pyarrow as arrow
            from pyarrow import parquet
        except ImportError as error:
            raise UnavailableError(
                f"{path} is a Parquet file, and pyarrow is not installed; install it with `pip install aigc[parquet]`",
                reason="EXTRA_MISSING",
            ) from error
        self._path = path
        self._error: type[Exception] = arrow.ArrowException
        try:
            self._file = parquet.ParquetFile(path, memory_map=True)
        except (arrow.ArrowException, OSError) as error:
            raise InvalidInputError(f"{path} is no Parquet file ({error})", field="path") from error
        self.names: list[str] = list(self._file.schema_arrow.names)
        self._progress = progress
        self.position = start

    def rows(self) -> Iterator[tuple[int, dict[str, Any]]]:
        """See :class:`aigc.collect.table.Table`."""
        total = self._file.metadata.num_rows
        skip, number = self.position.line, 0
        try:
            for batch in self._file.iter_batches(batch_size=_BATCH):
                if number + len(batch) <= skip:
                    number += len(batch)
                    continue
                for row in batch.to_pylist():
                    number += 1
                    if number <= skip:
                        continue
                    self.position = Position(number, number)
                    yield number, {name: _plain(cell) for name, cell in row.items()}
                if self._progress is not None:
                    self._progress(number, total)
        except (self._error, OSError) as error:
            raise InvalidInputError(
                f"{self._path} is damaged after row {number:,} ({error}); the rows before it were taken", field="path"
            ) from error


def _plain(cell: Any) -> Any:
    return cell.isoformat() if isinstance(cell, datetime | date) else cell
