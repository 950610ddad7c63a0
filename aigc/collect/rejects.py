"""Rows that were refused: counted by reason, and written to a file that a person can work through."""

from __future__ import annotations

import csv
from collections import Counter
from pathlib import Path
from types import TracebackType
from typing import IO, Any

__all__ = ["Rejects"]

_VALUE_LENGTH = 200


class Rejects:
    """A CSV file of line, field, value and reason; it comes into being with the first refused row."""

    def __init__(self, path: Path | None, *, resume_at: int = 0) -> None:
        """Begin.

        Args:
            path: Where to write; None only counts.
            resume_at: The line from which a cut-off import goes on: what the file says of lines up to it is kept.
        """
        self.path = path
        self.by_reason: Counter[str] = Counter()
        self._file: IO[str] | None = None
        self._writer: Any = None
        if resume_at and path is not None and path.is_file():
            self._keep(path, resume_at)

    def add(self, line: int | str, field: str, value: object, reason: str) -> None:
        """Refuse one row.

        Args:
            line: Its line number, or the name of its file.
            field: What is wrong.
            value: As it was read; shortened to 200 characters.
            reason: Without the value, so that equal reasons are counted together.
        """
        self.by_reason[f"{field}: {reason}" if field else reason] += 1
        if self.path is None:
            return
        if self._file is None:
            self._begin(self.path)
        self._writer.writerow([line, field, str(value)[:_VALUE_LENGTH], reason])

    @property
    def total(self) -> int:
        """How many rows were refused."""
        return self.by_reason.total()

    def flush(self) -> None:
        """Hand what was added so far to the operating system."""
        if self._file is not None:
            self._file.flush()

    def close(self) -> None:
        """Finish the file."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def __enter__(self) -> Rejects:
        """Close at the end of the block."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Finish the file."""
        self.close()

    def _begin(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("w", newline="", encoding="utf-8", errors="backslashreplace")
        self._writer = csv.writer(self._file)
        self._writer.writerow(["line", "field", "value", "reason"])

    def _keep(self, path: Path, last: int) -> None:
        with path.open(newline="", encoding="utf-8") as file:
            rows = [row for row in csv.reader(file) if len(row) == 4][1:]
        for line, field, value, reason in rows:
            if line.isdigit() and int(line) <= last:
                self.add(int(line), field, value, reason)
