"""Folders that are there whole or not at all: written beside, synced, renamed; read back by their checksums."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from aigc.errors import CorruptDataError, ResourceExhaustedError

__all__ = ["PARTIAL", "read_manifest", "remove_partial", "replace_file", "sync", "verify_files", "write_folder"]

PARTIAL = ".partial-"
Describe = Callable[[dict[str, dict[str, Any]]], str]


def write_folder(final: Path, fill: Callable[[Path], None], manifest: str, describe: Describe, *, what: str) -> Path:
    """Write a folder durably; it appears under its name only when all of it is on disk.

    Args:
        final: Where it will be; nothing may be there yet.
        fill: Writes the files into the folder it is given.
        manifest: Name of the file that describes the others, written last.
        describe: Relative path → {bytes, sha256} of the others → the text of the manifest.
        what: What is written, for errors.

    Raises:
        ResourceExhaustedError: The disk is full; what was written is removed.
    """
    partial = final.parent / f"{PARTIAL}{final.name}"
    try:
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        fill(partial)
        paths = sorted(p for p in partial.rglob("*") if p.is_file())
        with ThreadPoolExecutor(2) as pool:
            hashes = list(pool.map(_sha256, paths))
        files = {
            p.relative_to(partial).as_posix(): {"bytes": p.stat().st_size, "sha256": h}
            for p, h in zip(paths, hashes, strict=True)
        }
        (partial / manifest).write_text(describe(files), encoding="utf-8")
        for path in [*paths, partial / manifest, *{p.parent for p in paths}, partial]:
            sync(path)
        partial.rename(final)
        sync(final.parent)
    except OSError as error:
        shutil.rmtree(partial, ignore_errors=True)
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise ResourceExhaustedError(
                f"the disk of {final.parent} is full: {what} was not written; free some space and try again",
                reason="DISK_FULL",
            ) from error
        raise
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    return final


def replace_file(path: Path, text: str) -> None:
    """Put a small file in the place of another at once: a reader sees the old text or the new one."""
    pending = path.with_name(path.name + ".new")
    pending.write_text(text, encoding="utf-8")
    sync(pending)
    pending.replace(path)
    sync(path.parent)


def verify_files(
    folder: Path, files: Mapping[str, Mapping[str, Any]], *, hashes: bool, reason: str, remedy: str
) -> None:
    """Compare files with what their manifest says of them.

    Args:
        folder: Where they are.
        files: Relative path → {bytes, sha256}.
        hashes: Without them only the sizes are compared.
        reason: Of the error, for programs.
        remedy: What to do, for people.

    Raises:
        CorruptDataError: A file is absent, of another size, or does not match its checksum; names it.
    """

    def check(entry: tuple[str, Mapping[str, Any]]) -> None:
        path, size = folder / entry[0], int(entry[1]["bytes"])
        try:
            found = path.stat().st_size
        except FileNotFoundError:
            raise CorruptDataError(f"{path} is missing; {remedy}", reason=reason) from None
        if found != size:
            raise CorruptDataError(
                f"{path} has {found} bytes, its manifest says {size} (truncated?); {remedy}", reason=reason
            )
        if hashes and (actual := _sha256(path)) != (wanted := str(entry[1]["sha256"])):
            raise CorruptDataError(
                f"{path} does not match its checksum (sha256 {actual[:12]}…, expected {wanted[:12]}…); {remedy}",
                reason=reason,
            )

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(check, sorted(files.items(), key=lambda e: -int(e[1]["bytes"]))))


def read_manifest(path: Path, *, reason: str, remedy: str) -> dict[str, Any]:
    """A manifest's JSON object.

    Raises:
        CorruptDataError: The file is absent or holds something else.
    """
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise CorruptDataError(f"{path} is missing; {remedy}", reason=reason) from None
    except (ValueError, OSError) as error:
        raise CorruptDataError(f"{path} cannot be read ({error}); {remedy}", reason=reason) from error
    if not isinstance(raw, dict):
        raise CorruptDataError(f"{path} holds no JSON object; {remedy}", reason=reason)
    return raw


def remove_partial(root: Path) -> None:
    """Remove what killed writers left behind; call it only while none writes."""
    for path in root.glob(f"{PARTIAL}*"):
        shutil.rmtree(path, ignore_errors=True)


def sync(path: Path) -> None:
    """Have the system write a file, or a folder's entries, to disk."""
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
