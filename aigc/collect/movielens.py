"""MovieLens in both layouts: ``movies.csv`` with a header, and ``movies.dat`` with ``::``."""

from __future__ import annotations

import csv
import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from aigc.collect.parse import BadValueError, parse_id, parse_number, parse_time_ms
from aigc.collect.rejects import Rejects
from aigc.collect.text_source import Progress
from aigc.entities import Event, Item
from aigc.errors import NotFoundError

__all__ = ["MovieLens"]

_YEAR = re.compile(r"\((\d{4})\)\s*$")
_TAGS = 10


@dataclass(frozen=True, slots=True)
class MovieLens:
    """A folder of MovieLens.

    Attributes:
        folder: Where ``movies`` and ``ratings`` are, with ``tags`` and ``links`` where the set has them.
        suffix: ``.csv`` or ``.dat``.
    """

    folder: Path
    suffix: str

    @classmethod
    def find(cls, folder: Path) -> MovieLens:
        """Recognise the layout.

        Raises:
            NotFoundError: Neither layout is there; names the files looked for.
        """
        for suffix in (".csv", ".dat"):
            if (folder / f"movies{suffix}").is_file() and (folder / f"ratings{suffix}").is_file():
                return cls(folder, suffix)
        raise NotFoundError(
            f"{folder} holds neither movies.csv and ratings.csv nor movies.dat and ratings.dat; give the folder of an "
            "unpacked MovieLens archive",
            reason="FILE_NOT_FOUND",
        )

    def read_items(self, rejects: Rejects) -> Iterator[Item]:
        """Movies: genres as categories, the most given tags as tags, the year in the title as the time of creation."""
        tags = self._tags()
        for line, cells in self._rows("movies", 3, rejects):
            try:
                movie = parse_id(cells[0])
            except BadValueError as error:
                rejects.add(f"movies:{line}", "movieId", cells[0], str(error))
                continue
            title, genres = cells[1].strip(), cells[2]
            found = _YEAR.search(title)
            attributes = {}
            created = 0
            if found and 1800 <= int(found[1]) <= 2199:
                attributes["year"] = found[1]
                created = int(datetime(int(found[1]), 1, 1, tzinfo=UTC).timestamp() * 1000)
            yield Item(
                id=movie,
                kind="movie",
                title=title,
                categories=tuple(
                    dict.fromkeys(g.strip() for g in genres.split("|") if g.strip() and not g.startswith("(no "))
                ),
                tags=tuple(tags.get(movie, ())),
                language="en",
                created_ms=created,
                attributes=attributes,
            )

    def read_events(self, rejects: Rejects, progress: Progress | None = None) -> Iterator[Event]:
        """Ratings as events of type ``rating``; an event's id is made of user, movie and time."""
        for line, cells in self._rows("ratings", 4, rejects, progress):
            try:
                user, movie = parse_id(cells[0]), parse_id(cells[1])
                stars, time_ms = parse_number(cells[2]), parse_time_ms(cells[3])
                if time_ms < 0:
                    raise BadValueError("is before 1970")
            except BadValueError as error:
                rejects.add(f"ratings:{line}", "rating", "::".join(cells), str(error))
                continue
            yield Event(f"ml-{user}-{movie}-{time_ms // 1000}", user, movie, "rating", time_ms, stars)

    def _tags(self) -> dict[str, list[str]]:
        if not (self.folder / f"tags{self.suffix}").is_file():
            return {}
        given: dict[str, Counter[str]] = defaultdict(Counter)
        for _, cells in self._rows("tags", 4, Rejects(None)):
            tag = cells[2].strip().lower()
            if tag and tag.isprintable() and len(tag.encode()) <= 256:
                given[cells[1].strip()][tag] += 1
        return {movie: [t for t, _ in counts.most_common(_TAGS)] for movie, counts in given.items()}

    def _rows(
        self, name: str, width: int, rejects: Rejects, progress: Progress | None = None
    ) -> Iterator[tuple[int, list[str]]]:
        path = self.folder / f"{name}{self.suffix}"
        total, done = path.stat().st_size, 0
        # The old sets are Latin-1, the 10M set is UTF-8.
        encoding = "utf-8-sig" if self.suffix == ".csv" or _is_utf8(path) else "latin-1"
        with path.open(encoding=encoding, newline="", errors="replace") as file:
            rows: Iterator[list[str]] = (
                csv.reader(file) if self.suffix == ".csv" else (line.rstrip("\r\n").split("::") for line in file)
            )
            for number, cells in enumerate(rows, 1):
                if self.suffix == ".csv" and number == 1:
                    continue
                done += sum(map(len, cells)) + len(cells)
                if progress is not None and number % 5000 == 0:
                    progress(min(done, total), total)
                if len(cells) != width:
                    rejects.add(f"{name}:{number}", "", "::".join(cells), f"has not {width} cells")
                    continue
                yield number, cells
        if progress is not None:
            progress(total, total)


def _is_utf8(path: Path) -> bool:
    try:
        path.read_bytes().decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True
