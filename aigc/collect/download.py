"""Downloads over HTTP that survive a cut connection, a killed process and a server that lies."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import time
import urllib.request as http
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from http.client import HTTPException, HTTPMessage, HTTPResponse
from pathlib import Path
from typing import IO, cast
from urllib.error import HTTPError
from urllib.parse import urlsplit

from aigc.errors import CorruptDataError, InvalidInputError, NotFoundError, ResourceExhaustedError, UnavailableError

__all__ = ["disk_faults", "download"]

_BLOCK = 1 << 16
_PROGRESS = 1 << 20  # an attempt that brought this much is no failure
_CONTENT_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+)")


def download(
    url: str,
    target: Path,
    *,
    size: int,
    digest: str,
    progress: Callable[[int, int], None] | None = None,
    attempts: int = 5,
    wait: Callable[[float], object] = time.sleep,
    timeout_s: float = 30.0,
    limit: int = 10_000_000_000,
) -> bool:
    """Bring ``url`` to ``target``, verified and whole or not at all; True unless it was there already.

    What has come stands in ``target.part``, and the server's word for its version in ``target.part.json``, so that the
    next call goes on where this one ended, however it ended.

    Args:
        url: http or https.
        target: The file; its folder is made.
        size: Exact bytes; 0 when they are not known.
        digest: The checksum, ``md5:…`` or ``sha256:…``.
        progress: Told of bytes that are here and bytes in all (0 when not known).
        attempts: How many attempts in a row may bring less than 1 MiB.
        wait: Sleeps for so many seconds between attempts: 1, 2, 4, 8.
        timeout_s: Of silence, before the connection counts as cut.
        limit: Bytes at most, where ``size`` is not known.

    Raises:
        InvalidInputError: The URL is neither http nor https, now or after a redirect; the target cannot be written.
        NotFoundError: The server has no such file.
        UnavailableError: The server cannot be reached, refuses, or cuts every attempt.
        CorruptDataError: The length or the checksum differs; what came is deleted.
        ResourceExhaustedError: The disk is full, or the file is larger than ``limit``.
    """
    _check_url(url)
    if target.is_file() and _checksum(target, digest) == digest:
        return False
    transfer = _Transfer(url, target, size, size or limit, timeout_s, progress)
    failures = best = 0
    while True:
        try:
            transfer.attempt()
            break
        except _CutError as error:
            done = transfer.done()
            failures = 1 if done - best >= _PROGRESS else failures + 1
            best = max(best, done)
            if failures >= attempts:
                raise UnavailableError(
                    f"{url} could not be downloaded, {failures} attempts failed, the last because {error}; check the "
                    f"connection and repeat the command, {done:,} bytes are kept",
                    reason="DOWNLOAD_FAILED",
                ) from error
        wait(min(2.0 ** (failures - 1), 8.0))
    transfer.finish(digest)
    return True


@contextmanager
def disk_faults(path: Path) -> Iterator[None]:
    """Turn a failure to write ``path`` into ResourceExhaustedError (the disk is full) or InvalidInputError."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise ResourceExhaustedError(
                f"the disk is full: {path} cannot be written; free some space and repeat the command",
                reason="DISK_FULL",
            ) from error
        raise InvalidInputError(
            f"{path} cannot be written ({error.strerror}); give another folder", field="target"
        ) from error


class _CutError(Exception):
    """This attempt came to nothing; another one may succeed."""


class _Redirects(http.HTTPRedirectHandler):
    """Follows to http and https alone; the standard handler would go to ftp as well."""

    def redirect_request(
        self, req: http.Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> http.Request | None:
        fp.close()
        _check_url(newurl)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


@dataclass(frozen=True, slots=True)
class _Transfer:
    url: str
    target: Path
    size: int
    limit: int
    timeout_s: float
    progress: Callable[[int, int], None] | None

    @property
    def part(self) -> Path:
        return self.target.with_name(f"{self.target.name}.part")

    @property
    def note(self) -> Path:
        return self.target.with_name(f"{self.target.name}.part.json")

    def done(self) -> int:
        return self.part.stat().st_size if self.part.is_file() else 0

    def discard(self) -> None:
        self.note.unlink(missing_ok=True)
        self.part.unlink(missing_ok=True)

    def attempt(self) -> None:
        """One request; returns when all bytes are here."""
        version, total = self._remembered()
        done = self.done()
        if total and done == total:
            return
        request = http.Request(self.url, headers={"User-Agent": "aigc"})  # noqa: S310 - the scheme is checked
        if done and version:
            request.add_header("Range", f"bytes={done}-")
            request.add_header("If-Range", version)
        try:
            with cast("HTTPResponse", http.build_opener(_Redirects).open(request, timeout=self.timeout_s)) as response:
                self._receive(response, done if version else 0, version)
        except HTTPError as error:
            error.close()
            raise self._refusal(error) from error
        except (OSError, HTTPException) as error:
            raise _CutError(f"the connection failed ({error or type(error).__name__})") from error

    def _receive(self, response: HTTPResponse, done: int, version: str) -> None:
        fresh = response.status == 200
        if fresh:
            done, version, total = 0, _version(response), response.length or 0
        else:
            total = self._continued(response, done, version)
        if self.size and total and total != self.size:
            self.discard()
            raise CorruptDataError(
                f"{self.url} has {total:,} bytes where {self.size:,} are expected, so it is another file; look for a "
                "newer release, whose registry knows it",
                reason="SIZE_MISMATCH",
            )
        total = total or self.size
        self._check_limit(total)
        with disk_faults(self.part):
            self.target.parent.mkdir(parents=True, exist_ok=True)
            # Unbuffered, so that closing has nothing left to write to a full disk.
            file = self.part.open("wb" if fresh else "ab", buffering=0)
        with file:
            # Only now that the old bytes are gone: a note must never describe the bytes of another version.
            if fresh:
                self._remember(version, total)
            # Not read(): it would lose what it has of a block when the connection breaks within it.
            while block := response.read1(min(_BLOCK, (total or self.limit + 1) - done)):
                rest = memoryview(block)
                with disk_faults(self.part):
                    while rest:
                        rest = rest[file.write(rest) :]
                done += len(block)
                if self.progress is not None:
                    self.progress(done, total)
                self._check_limit(done)
        if done < total:
            raise _CutError(f"the connection ended after {done:,} of {total:,} bytes")

    def _check_limit(self, length: int) -> None:
        if length > self.limit:
            self.discard()
            raise ResourceExhaustedError(
                f"{self.url} has more than {self.limit:,} bytes, the most that is downloaded; fetch it by other means",
                reason="FILE_TOO_LARGE",
            )

    def _continued(self, response: HTTPResponse, done: int, version: str) -> int:
        """The length of the whole, when the answer is what was asked for."""
        found = _CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", ""))
        start, last, total = map(int, found.groups()) if found else (0, 0, 0)
        asked = response.status == 206 and done > 0 and (start, last) == (done, total - 1)
        # A server that ignores If-Range shows by its version that the file has changed.
        header = "ETag" if version.startswith('"') else "Last-Modified"
        if not asked or response.headers.get(header, version) != version:
            self.discard()
            raise _CutError(f"the server sent another part than was asked for (status {response.status})")
        return total

    def _remembered(self) -> tuple[str, int]:
        """The version and the length that the bytes here belong to; empty when that is not known."""
        try:
            note = json.loads(self.note.read_bytes())
            if note["url"] == self.url:
                return str(note["version"]), int(note["total"])
        except (OSError, ValueError, TypeError, KeyError):
            pass
        return "", 0

    def _remember(self, version: str, total: int) -> None:
        with disk_faults(self.note):
            self.note.write_text(json.dumps({"url": self.url, "version": version, "total": total}))

    def _refusal(self, error: HTTPError) -> Exception:
        if error.code in (404, 410):
            return NotFoundError(
                f"{self.url} does not exist (HTTP {error.code}); look for a newer release, whose registry knows where "
                "the file went",
                reason="URL_NOT_FOUND",
            )
        if error.code == 416:
            self.discard()
        if error.code in (408, 416, 429) or error.code >= 500:
            return _CutError(f"the server answered HTTP {error.code}")
        what = "redirects in a circle or away from http" if error.code < 400 else f"is refused with HTTP {error.code}"
        return UnavailableError(f"{self.url} {what}; try again later", reason="DOWNLOAD_REFUSED")

    def finish(self, digest: str) -> None:
        """Verify, make durable, and give the file its name."""
        found = _checksum(self.part, digest)
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


def _sync(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _version(response: HTTPResponse) -> str:
    """What If-Range may name: a strong ETag, else the date; a weak ETag promises no equal bytes."""
    etag = response.headers.get("ETag", "")
    return etag if etag.startswith('"') else response.headers.get("Last-Modified", "")


def _check_url(url: str) -> None:
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and url.isascii() and " " not in url
    except ValueError:
        usable = False
    if not usable:
        raise InvalidInputError(f"{url!r} is no URL of http or https; give one such as https://host/file", field="url")


def _checksum(path: Path, digest: str) -> str:
    kind = digest.partition(":")[0]
    with path.open("rb") as file:
        return f"{kind}:{hashlib.file_digest(file, partial(hashlib.new, kind, usedforsecurity=False)).hexdigest()}"
