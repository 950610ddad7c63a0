"""Plain text files: each passage between blank lines is an item."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from aigc.collect.items_file import title_of
from aigc.collect.rejects import Rejects
from aigc.collect.text_source import Position, Progress, TextSource
from aigc.entities import Item
from aigc.prepare.encoding import AUTO

__all__ = ["PassagesFile"]

_MAX_PASSAGE = 20_000


class PassagesFile:
    """A ``.txt`` file as items of kind ``text``; the id is the file's name with the passage's number."""

    def __init__(
        self,
        path: Path,
        rejects: Rejects,
        *,
        kind: str = "text",
        encoding: str = AUTO,
        progress: Progress | None = None,
    ) -> None:
        """Args: as of :class:`aigc.collect.items_file.ItemsFile`; a passage of more than 20,000 characters is split."""
        self._source = TextSource(path, rejects, encoding=encoding, progress=progress)
        self.encoding = self._source.encoding
        self.mapping = {"text": "passages between blank lines"}
        self._item = Item(id=path.name.removesuffix(".gz").removesuffix(".txt"), kind=kind)

    @property
    def position(self) -> Position:
        """After the newest passage given out."""
        return self._source.position

    def __iter__(self) -> Iterator[Item]:
        """The passages in order."""
        number, lines, size = 0, list[str](), 0
        for _, line in self._source.lines():
            if line.strip():
                lines.append(line.rstrip())
                size += len(line)
            if lines and (not line.strip() or size > _MAX_PASSAGE):
                number += 1
                yield self._passage(number, "\n".join(lines))
                lines, size = [], 0
        if lines:
            yield self._passage(number + 1, "\n".join(lines))

    def _passage(self, number: int, text: str) -> Item:
        return replace(self._item, id=f"{self._item.id}-{number:06d}", title=title_of(text), text=text)
