"""Downloads over HTTP that survive a cut connection, a killed process and a server that lies."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from aigc.collect.partial_file import PartialFile, checksum
from aigc.collect.transfer import CutError, Transfer
from aigc.collect.web_address import check_url
from aigc.errors import UnavailableError

__all__ = ["download"]

_PROGRESS = 1 << 20  # an attempt that brought this much is no failure


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
    check_url(url)
    if target.is_file() and checksum(target, digest) == digest:
        return False
    file = PartialFile(url, target)
    transfer = Transfer(file, size, size or limit, timeout_s, progress)
    failures = best = 0
    while True:
        try:
            transfer.attempt()
            break
        except CutError as error:
            done = file.done()
            failures = 1 if done - best >= _PROGRESS else failures + 1
            best = max(best, done)
            if failures >= attempts:
                raise UnavailableError(
                    f"{url} could not be downloaded, {failures} attempts failed, the last because {error}; check the "
                    f"connection and repeat the command, {done:,} bytes are kept",
                    reason="DOWNLOAD_FAILED",
                ) from error
        wait(min(2.0 ** (failures - 1), 8.0))
    file.finish(digest)
    return True
