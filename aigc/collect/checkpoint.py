"""How far an import has come, on disk: what was cut off goes on from there."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from aigc.collect.text_source import START, Position

__all__ = ["ImportCheckpoint"]

_HEAD = 65_536
_EVERY_S = 0.5


class ImportCheckpoint:
    """A small JSON file beside the data; it exists only while an import is unfinished.

    Only what is durable is ever noted, so going on from it repeats at most a few batches, which change nothing: events
    are known by their ids, items replace themselves.
    """

    def __init__(
        self, folder: Path, source: Path, settings: Mapping[str, object], clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Find out whether an earlier import of the same file was cut off.

        Args:
            folder: Where checkpoints are kept.
            source: The file that is imported.
            settings: All that decides how it is read; another choice is another import.
            clock: Seconds; notes go to disk twice a second at most.
        """
        key = json.dumps([str(source.resolve()), settings], sort_keys=True, default=str)
        self._path = folder / f"{hashlib.blake2b(key.encode(), digest_size=10).hexdigest()}.json"
        self._clock = clock
        self._written = -_EVERY_S
        with source.open("rb") as file:
            head = hashlib.blake2b(file.read(_HEAD)).hexdigest()
        self._identity = {"source": str(source), "head": head, "size": source.stat().st_size}
        self.position, self.counts = self._read()

    @property
    def resumes(self) -> bool:
        """Was an earlier import of this file cut off?"""
        return self.position != START

    def note(self, position: Position, counts: Mapping[str, int], *, now: bool = False) -> None:
        """Everything before ``position`` is on disk."""
        self.position = position
        if not now and self._clock() - self._written < _EVERY_S:
            return
        self._written = self._clock()
        self._path.parent.mkdir(parents=True, exist_ok=True)
        content = self._identity | {"line": position.line, "offset": position.offset, "counts": dict(counts)}
        partial = self._path.with_suffix(".part")
        with partial.open("w", encoding="utf-8") as file:
            json.dump(content, file)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(self._path)

    def finish(self) -> None:
        """The import is complete."""
        self._path.unlink(missing_ok=True)

    def _read(self) -> tuple[Position, dict[str, int]]:
        try:
            saved = json.loads(self._path.read_text(encoding="utf-8"))
            # A file that was replaced or shortened is read from its start; one that has grown goes on.
            if saved["head"] != self._identity["head"] or saved["size"] > int(str(self._identity["size"])):
                return START, {}
            counts = {str(name): int(count) for name, count in saved["counts"].items()}
            return Position(int(saved["line"]), int(saved["offset"])), counts
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return START, {}
