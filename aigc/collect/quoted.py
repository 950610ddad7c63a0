"""Lines → rows of delimited text: a quoted cell may hold line ends, and one never closed harms one line only."""

from __future__ import annotations

import csv
from collections import deque
from collections.abc import Iterator

from aigc.collect.rejects import Rejects
from aigc.collect.text_source import Position, TextSource

__all__ = ["QuotedLines"]

_MAX_LINES = 1000
_MAX_TEXT = 1_000_000

_Line = tuple[Position, str]


class QuotedLines:
    """The text of each row, which is one line or several.

    Attributes:
        line: Where the newest row given out ends.
    """

    def __init__(self, source: TextSource, delimiter: str, rejects: Rejects) -> None:
        """Wrap.

        Args:
            source: The lines.
            delimiter: Between cells; a quote opens a cell only at its start.
            rejects: Told of a quote that 1,000 lines or 1 MB do not close: its line is refused, the next ones are read.
        """
        self._source = source
        self._delimiter = delimiter
        self._rejects = rejects
        self._at: Position | None = None
        self.line = source.position.line

    @property
    def position(self) -> Position:
        """After the newest row given out; lines looked at behind it do not count."""
        return self._at or self._source.position

    def __iter__(self) -> Iterator[str]:
        """Texts with their line ends."""
        lines = self._source.lines()
        for self.line, text in lines:
            if '"' not in text:
                yield text
                continue
            yield from self._joined((self._source.position, text), lines)
            self._at = None

    def _joined(self, first: _Line, lines: Iterator[tuple[int, str]]) -> Iterator[str]:
        """Rows from a line with a quote on, until no line that was looked at waits."""
        waiting = deque([first])

        def following() -> _Line | None:
            if waiting:
                return waiting.popleft()
            line = next(lines, None)
            return (self._source.position, line[1]) if line is not None else None

        while waiting:
            line = waiting.popleft()
            self._advance(line[0])
            text = line[1]
            quotes = text.count('"')
            if quotes % 2 == 0 or not _is_open(text, self._delimiter):
                yield text
                continue
            taken, size = [line], len(text)
            while quotes % 2 and len(taken) < _MAX_LINES and size < _MAX_TEXT:
                after = following()
                if after is None:
                    break
                taken.append(after)
                size += len(after[1])
                quotes += after[1].count('"')
            if quotes % 2 == 0:
                self._advance(taken[-1][0])
                yield "".join(text for _, text in taken)
            else:
                self._rejects.add(line[0].line, "", text, "a quote is opened and not closed")
                waiting.extendleft(reversed(taken[1:]))

    def _advance(self, position: Position) -> None:
        self._at, self.line = position, position.line


def _is_open(text: str, delimiter: str) -> bool:
    """Does a cell go on after this line? Then the reader asks for the next one."""
    reader = csv.reader([text, "\n"], delimiter=delimiter)
    try:
        next(reader)
    except csv.Error:
        return False
    return reader.line_num == 2
