"""A file on its way: its bytes so far, and beside them what is known of the whole."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from aigc.collect.disk_faults import disk_faults
from aigc.errors import CorruptDataError

__all__ = ["PartialFile", "checksum"]


@dataclass(frozen=True, slots=True)
class PartialFile:
    """``target.part`` and ``target.part.json``, until :meth:`finish` makes ``target`` of them.

    Attributes:
        url: Where the bytes come from.
        target: What the file will be called.
    """

    url: str
    target: Path

    @property
    def part(self) -> Path:
        """The bytes that are here."""
        return self.target.with_name(f"{self.target.name}.part")

    @property
    def note(self) -> Path:
        """What is known of the whole."""
        return self.target.with_name(f"{self.target.name}.part.json")

    def done(self) -> int:
        """How many bytes are here."""
        return self.part.stat().st_size if self.part.is_file() else 0

    def discard(self) -> None:
        """Begin anew."""
        self.note.unlink(missing_ok=True)
        self.part.unlink(missing_ok=True)

    def remembered(self) -> tuple[str, int]:
        """The version and the length that the bytes here belong to; empty when that is not known."""
        try:
            note = json.loads(self.note.read_bytes())
            if note["url"] == self.url:
                return str(note["version"]), int(note["total"])
        except (OSError, ValueError, TypeError, KeyError):
            pass
        return "", 0

    def remember(self, version: str, total: int) -> None:
        """Note the version and the length that the bytes here belong to."""
        with disk_faults(self.note):
            self.note.write_text(json.dumps({"url": self.url, "version": version, "total": total}))

    def finish(self, digest: str) -> None:
        """Verify, make durable, and give the file its name."""
        found = checksum(self.part, digest)
        if found != digest:
            self.discard()
            raise CorruptDataError(
                f"{self.target.name} from {self.url} has the checksum {found} where {digest} is published; the file "
                "was deleted, repeat the command, and if that fails again the source has changed",
                reason="CHECKSUM_MISMATCH",
                metadata={"file": str(self.target), "expected": digest, "got": found},
            )
        with disk_faults(self.target):
            _sync(self.part)
            self.part.replace(self.target)
            _sync(self.target.parent)
        self.note.unlink(missing_ok=True)


def checksum(path: Path, digest: str) -> str:
    """The file's checksum, of the kind that ``digest`` is: ``md5:…`` or ``sha256:…``."""
    kind = digest.partition(":")[0]
    with path.open("rb") as file:
        return f"{kind}:{hashlib.file_digest(file, partial(hashlib.new, kind, usedforsecurity=False)).hexdigest()}"


def _sync(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
