"""One attempt at a download: asks for what is missing, and believes nothing that the server says without a check."""

from __future__ import annotations

import re
import urllib.request as http
from collections.abc import Callable
from dataclasses import dataclass
from http.client import HTTPException, HTTPResponse
from typing import cast
from urllib.error import HTTPError

from aigc.collect.disk_faults import disk_faults
from aigc.collect.partial_file import PartialFile
from aigc.collect.web_address import Redirects, version_of_answer
from aigc.errors import CorruptDataError, NotFoundError, ResourceExhaustedError, UnavailableError

__all__ = ["CutError", "Transfer"]

_BLOCK = 1 << 16
_CONTENT_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+)")


class CutError(Exception):
    """This attempt came to nothing; another one may succeed."""


@dataclass(frozen=True, slots=True)
class Transfer:
    """Attempts at one file.

    Attributes:
        file: Where the bytes go.
        size: Exact bytes; 0 when they are not known.
        limit: Bytes at most.
        timeout_s: Of silence, before the connection counts as cut.
        progress: Told of bytes that are here and bytes in all.
    """

    file: PartialFile
    size: int
    limit: int
    timeout_s: float
    progress: Callable[[int, int], None] | None

    def attempt(self) -> None:
        """One request; returns when all bytes are here."""
        version, total = self.file.remembered()
        done = self.file.done()
        if total and done == total:
            return
        request = http.Request(self.file.url, headers={"User-Agent": "aigc"})  # noqa: S310 - the scheme is checked
        if done and version:
            request.add_header("Range", f"bytes={done}-")
            request.add_header("If-Range", version)
        try:
            with cast("HTTPResponse", http.build_opener(Redirects).open(request, timeout=self.timeout_s)) as response:
                self._receive(response, done if version else 0, version)
        except HTTPError as error:
            error.close()
            raise self._refusal(error) from error
        except (OSError, HTTPException) as error:
            raise CutError(f"the connection failed ({error or type(error).__name__})") from error

    def _receive(self, response: HTTPResponse, done: int, version: str) -> None:
        fresh = response.status == 200
        if fresh:
            done, version, total = 0, version_of_answer(response), response.length or 0
        else:
            total = self._continued(response, done, version)
        if self.size and total and total != self.size:
            self.file.discard()
            raise CorruptDataError(
                f"{self.file.url} has {total:,} bytes where {self.size:,} are expected, so it is another file; "
                "look for a newer release, whose registry knows it",
                reason="SIZE_MISMATCH",
            )
        total = total or self.size
        self._check_limit(total)
        with disk_faults(self.file.part):
            self.file.target.parent.mkdir(parents=True, exist_ok=True)
            # Unbuffered, so that closing has nothing left to write to a full disk.
            file = self.file.part.open("wb" if fresh else "ab", buffering=0)
        with file:
            # Only now that the old bytes are gone: a note must never describe the bytes of another version.
            if fresh:
                self.file.remember(version, total)
            # Not read(): it would lose what it has of a block when the connection breaks within it.
            while block := response.read1(min(_BLOCK, (total or self.limit + 1) - done)):
                rest = memoryview(block)
                with disk_faults(self.file.part):
                    while rest:
                        rest = rest[file.write(rest) :]
                done += len(block)
                if self.progress is not None:
                    self.progress(done, total)
                self._check_limit(done)
        if done < total:
            raise CutError(f"the connection ended after {done:,} of {total:,} bytes")

    def _check_limit(self, length: int) -> None:
        if length > self.limit:
            self.file.discard()
            raise ResourceExhaustedError(
                f"{self.file.url} has more than {self.limit:,} bytes, the most that is downloaded; fetch it by "
                "other means",
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
            self.file.discard()
            raise CutError(f"the server sent another part than was asked for (status {response.status})")
        return total

    def _refusal(self, error: HTTPError) -> Exception:
        if error.code in (404, 410):
            return NotFoundError(
                f"{self.file.url} does not exist (HTTP {error.code}); look for a newer release, whose registry "
                "knows where the file went",
                reason="URL_NOT_FOUND",
            )
        if error.code == 416:
            self.file.discard()
        if error.code in (408, 416, 429) or error.code >= 500:
            return CutError(f"the server answered HTTP {error.code}")
        what = "redirects in a circle or away from http" if error.code < 400 else f"is refused with HTTP {error.code}"
        return UnavailableError(f"{self.file.url} {what}; try again later", reason="DOWNLOAD_REFUSED")
