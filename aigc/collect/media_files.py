"""The files of a folder, of the zip files in it, or of one zip file: what is safe to read, one at a time."""

from __future__ import annotations

import zipfile
from collections.abc import Collection, Iterator
from pathlib import Path, PurePosixPath

from aigc.collect.rejects import Rejects
from aigc.errors import InvalidInputError, NotFoundError

__all__ = ["MAX_BYTES", "media_files"]

MAX_BYTES = 16_000_000
_MAX_ENTRIES = 2_000_000


def media_files(path: Path, suffixes: Collection[str], rejects: Rejects) -> Iterator[tuple[str, bytes]]:
    """(name inside the folder or archive, bytes), in order of the names.

    Args:
        path: A folder, searched with its sub-folders, or a zip file.
        suffixes: In lower case, with the dot; other files are passed over.
        rejects: Told of files that are links, lead outside, are larger than 16 MB, or cannot be read.

    Raises:
        NotFoundError: Nothing is there.
        InvalidInputError: ``path`` is a file, and no zip file.
    """
    if not path.exists():
        raise NotFoundError(f"{path} does not exist; give a folder or a zip file", reason="FILE_NOT_FOUND")
    if path.is_file():
        yield from _zip_files(path, suffixes, rejects)
        return
    for file in sorted(path.rglob("*")):
        name = file.relative_to(path).as_posix()
        suffix = file.suffix.lower()
        if suffix not in suffixes and suffix != ".zip":
            continue
        if file.is_symlink():
            rejects.add(name, "", "", "is a symbolic link")
        elif suffix == ".zip" and file.is_file():
            try:
                yield from _zip_files(file, suffixes, rejects)
            except InvalidInputError as error:
                rejects.add(name, "", "", str(error))
        elif file.is_file():
            data = _read(file, name, rejects)
            if data is not None:
                yield name, data


def _read(file: Path, name: str, rejects: Rejects) -> bytes | None:
    try:
        with file.open("rb") as opened:
            data = opened.read(MAX_BYTES + 1)
    except OSError as error:
        rejects.add(name, "", error.strerror, "cannot be read")
        return None
    if len(data) > MAX_BYTES:
        rejects.add(name, "", file.stat().st_size, "is larger than 16 MB")
        return None
    return data


def _zip_files(path: Path, suffixes: Collection[str], rejects: Rejects) -> Iterator[tuple[str, bytes]]:
    try:
        archive = zipfile.ZipFile(path)
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise InvalidInputError(f"{path} is no zip file ({error})", field="path") from error
    with archive:
        for info in sorted(archive.infolist(), key=lambda i: i.filename)[:_MAX_ENTRIES]:
            pure = PurePosixPath(info.filename)
            if info.is_dir() or pure.suffix.lower() not in suffixes or pure.parts[0] == "__MACOSX":
                continue
            if pure.is_absolute() or ".." in pure.parts:
                rejects.add(info.filename, "", "", "leads outside the archive")
            elif (info.external_attr >> 16) & 0o170000 == 0o120000:
                rejects.add(info.filename, "", "", "is a symbolic link")
            elif info.file_size > MAX_BYTES:
                rejects.add(info.filename, "", info.file_size, "is larger than 16 MB")
            else:
                try:
                    # The declared size is the file's own claim: never unpack more than may be.
                    with archive.open(info) as member:
                        data = member.read(MAX_BYTES + 1)
                except (zipfile.BadZipFile, OSError, RuntimeError, NotImplementedError, EOFError, ValueError) as error:
                    rejects.add(info.filename, "", "", f"cannot be unpacked: {type(error).__name__}")
                    continue
                if len(data) > MAX_BYTES:
                    rejects.add(info.filename, "", len(data), "is larger than 16 MB")
                    continue
                yield info.filename, data
