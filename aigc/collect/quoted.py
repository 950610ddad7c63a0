"""Lines → rows of delimited text: a quoted cell may hold line ends, and one never closed harms one line only."""

from __future__ import annotations

import csv
from collections import deque
from collections.abc import Iterator

from aigc.collect.rejects import Rejects
from aigc.collect.text_source import Position, TextSource

__all__ = ["join_quoted"]

_MAX_LINES = 1000
_MAX_TEXT = 1_000_000

_Line = tuple[Position, str]


def join_quoted(source: TextSource, delimiter: str, rejects: Rejects) -> Iterator[_Line]:
    """(position after it, text) of each row, which is one line or several.

    Args:
        source: The lines.
        delimiter: Between cells; a quote opens a cell only at its start.
        rejects: Told of a quote that 1,000 lines or 1 MB do not close: its line is refused, the next ones are read.
    """
    waiting: deque[_Line] = deque()
    lines = ((source.position, text) for _, text in source.lines())
    while True:
        line = waiting.popleft() if waiting else next(lines, None)
        if line is None:
            return
        if line[1].count('"') % 2 == 0 or not _is_open(line[1], delimiter):
            yield line
            continue
        taken, size, quotes = [line], len(line[1]), line[1].count('"')
        while quotes % 2 and len(taken) < _MAX_LINES and size < _MAX_TEXT:
            following = waiting.popleft() if waiting else next(lines, None)
            if following is None:
                break
            taken.append(following)
            size += len(following[1])
            quotes += following[1].count('"')
        if quotes % 2 == 0:
            yield taken[-1][0], "".join(text for _, text in taken)
        else:
            rejects.add(line[0].line, "", line[1], "a quote is opened and not closed")
            waiting.extendleft(reversed(taken[1:]))


def _is_open(text: str, delimiter: str) -> bool:
    """Does a cell go on after this line? Then the reader asks for the next one."""
    reader = csv.reader([text, "\n"], delimiter=delimiter)
    try:
        next(reader)
    except csv.Error:
        return False
    return reader.line_num == 2
