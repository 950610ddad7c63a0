"""A file of text as decoded lines with their numbers and places: plain or gzipped, in any encoding, of any size."""

from __future__ import annotations

import codecs
import gzip
import io
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast

from aigc.collect.rejects import Rejects
from aigc.errors import InvalidInputError, NotFoundError
from aigc.prepare.encoding import AUTO, SAMPLE_BYTES, check_encoding, detect_encoding

__all__ = ["START", "Position", "Progress", "TextSource"]

Progress = Callable[[int, int], None]

_MAX_LINE = 1_000_000
_REPORT_LINES = 5000
# gzip packs text about 3 to 30 times; what unpacks to more than this is made to fill a disk.
_BOMB_RATIO = 500
_BOMB_BYTES = 100_000_000


@dataclass(frozen=True, slots=True)
class Position:
    """A place between two rows.

    Attributes:
        line: Lines (of a table of columns: rows) before it.
        offset: Bytes of the unpacked, transcoded file before it.
    """

    line: int = 0
    offset: int = 0


START = Position()


class TextSource:
    """Lines of at most 1 MB, read up to the size that the file had when it was opened.

    Attributes:
        encoding: The codec, found out when ``auto`` was asked for.
    """

    def __init__(
        self,
        path: Path,
        rejects: Rejects,
        *,
        encoding: str = AUTO,
        progress: Progress | None = None,
        start: Position = START,
    ) -> None:
        """Open.

        Args:
            path: The file; one that ends in ``.gz`` is unpacked on the way.
            rejects: Told of lines that are too long, not in the encoding, or hold a NUL.
            encoding: A codec, or ``auto``.
            progress: Called now and then with bytes read and bytes in all.
            start: Where an earlier reading of the same file stopped.

        Raises:
            NotFoundError: No such file.
            InvalidInputError: The encoding is not known, or the file cannot be unpacked at all.
        """
        if not path.is_file():
            raise NotFoundError(f"{path} is no file; give the path of one", reason="FILE_NOT_FOUND")
        check_encoding(encoding)
        self.path = path
        self._line, self._offset = start.line, start.offset
        self._rejects = rejects
        self._progress = progress
        self._size = path.stat().st_size
        self._packed = path.suffix.lower() == ".gz"
        with self._open() as file:
            try:
                sample = file.read(SAMPLE_BYTES)
            except (OSError, EOFError, zlib.error) as error:
                sample = b""
                if self._packed and path.read_bytes()[:2] != b"\x1f\x8b":
                    raise InvalidInputError(f"{path} is no gzip file ({error})", field="path") from error
        self.encoding = detect_encoding(sample) if encoding == AUTO else encoding
        self._wide = self.encoding.lower().replace("-", "").replace("_", "").startswith(("utf16", "utf32"))

    @property
    def position(self) -> Position:
        """After the newest line given out."""
        return Position(self._line, self._offset)

    def lines(self) -> Iterator[tuple[int, str]]:
        """(number from 1, text with its end); ``position`` follows."""
        number, done = self._line, self._offset
        codec = "utf-8" if self._wide else self.encoding
        with self._open() as raw_file:
            file = cast(IO[bytes], io.BufferedReader(_Transcoder(raw_file, self.encoding))) if self._wide else raw_file
            _skip(file, done)
            while raw := self._next(file, number, done):
                number += 1
                done += len(raw)
                if len(raw) > _MAX_LINE and not raw.endswith(b"\n"):
                    self._rejects.add(number, "", raw[:80], "line is longer than 1 MB")
                    while raw and not raw.endswith(b"\n"):
                        raw = self._next(file, number, done)
                        done += len(raw)
                    self._line, self._offset = number, done
                    continue
                if number == 1 and raw.startswith(codecs.BOM_UTF8):
                    raw = raw[3:]
                if number % _REPORT_LINES == 0:
                    self._report(raw_file)
                self._line, self._offset = number, done
                try:
                    text = raw.decode(codec)
                except UnicodeDecodeError as error:
                    around = raw[max(0, error.start - 10) : error.start + 10]
                    self._rejects.add(number, "", around, f"is not {self.encoding} (see --encoding)")
                    continue
                if "\0" in text:
                    self._rejects.add(number, "", text[:80], "holds a NUL character")
                    continue
                yield number, text
        if self._progress is not None:
            self._progress(self._size, self._size)

    def _open(self) -> IO[bytes]:
        return cast(IO[bytes], gzip.open(self.path, "rb") if self._packed else self.path.open("rb"))

    def _next(self, file: IO[bytes], number: int, done: int) -> bytes:
        """A line or a part of one; empty at the end, also where a file that grows ended when it was opened."""
        if not self._packed and not self._wide and done >= self._size:
            return b""
        if self._packed and done > _BOMB_BYTES and done > _BOMB_RATIO * self._size:
            self._rejects.add(number, "", "", f"unpacks to {_BOMB_RATIO} times its size; the rest is left out")
            return b""
        try:
            return file.readline(_MAX_LINE + 1)
        except (OSError, EOFError, zlib.error) as error:
            self._rejects.add(number + 1, "", str(error), "the file ends early or is damaged here; the rest is lost")
            return b""
        except UnicodeDecodeError as error:
            self._rejects.add(number + 1, "", str(error), f"is not {self.encoding} (see --encoding); the rest is lost")
            return b""

    def _report(self, file: IO[bytes]) -> None:
        if self._progress is not None:
            at = cast(Any, file).fileobj.tell() if self._packed else file.tell()
            self._progress(min(at, self._size), self._size)


class _Transcoder(io.RawIOBase):
    """Bytes in a wide encoding → UTF-8, so that a line ends in the byte that ends a line."""

    def __init__(self, file: IO[bytes], encoding: str) -> None:
        self._file = file
        self._decoder = codecs.getincrementaldecoder(encoding)()
        self._ready = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        while not self._ready:
            data = self._file.read(65_536)
            self._ready = self._decoder.decode(data, not data).encode("utf-8", "surrogatepass")
            if not data:
                break
        n = min(len(buffer), len(self._ready))
        buffer[:n] = self._ready[:n]
        self._ready = self._ready[n:]
        return n


def _skip(file: IO[bytes], offset: int) -> None:
    if offset and file.seekable():
        file.seek(offset)
        return
    while offset > 0:
        offset -= len(file.read(min(offset, 1_000_000))) or offset
