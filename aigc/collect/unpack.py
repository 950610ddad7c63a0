"""Unpacks zip archives from elsewhere: nothing leaves the folder, nothing grows without bound."""

from __future__ import annotations

import shutil
import stat
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path, PurePosixPath

from aigc.collect.disk_faults import disk_faults
from aigc.errors import CorruptDataError, ResourceExhaustedError

__all__ = ["unpack"]

_BLOCK = 1 << 20
_MAX_ENTRIES = 1_000_000


def unpack(
    archive: Path,
    folder: Path,
    *,
    limit: int = 50_000_000_000,
    progress: Callable[[int, int], None] | None = None,
) -> list[Path]:
    """Write the files of a zip archive below ``folder`` and give their paths; nothing is written if any name is unsafe.

    A file appears whole or not at all, and one that is there already is replaced.

    Args:
        archive: The zip file.
        folder: Made where it is missing.
        limit: Bytes that all files may have together.
        progress: Told of bytes written and bytes in all.

    Raises:
        CorruptDataError: No zip file, a damaged or encrypted one, or one with a name that leads outside, a link or the
            same name twice.
        ResourceExhaustedError: The files are larger than ``limit`` together, or the disk is full.
        InvalidInputError: The folder cannot be written.
    """
    try:
        with zipfile.ZipFile(archive) as opened:
            infos = opened.infolist()
            _check(archive, infos, limit)
            files = [info for info in infos if not info.is_dir()]
            total, done = sum(info.file_size for info in files), 0
            for info in files:
                _write(opened, info, folder / info.filename)
                done += info.file_size
                if progress is not None:
                    progress(done, total)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
        raise CorruptDataError(
            f"{archive} cannot be unpacked ({error}); delete it and download it again", reason="BAD_ARCHIVE"
        ) from error
    return [folder / info.filename for info in files]


def _check(archive: Path, infos: list[zipfile.ZipInfo], limit: int) -> None:
    total = sum(info.file_size for info in infos)
    if total > limit or len(infos) > _MAX_ENTRIES:
        raise ResourceExhaustedError(
            f"{archive} holds {len(infos):,} files of {total:,} bytes together, and at most {_MAX_ENTRIES:,} of "
            f"{limit:,} are unpacked; unpack it by other means",
            reason="ARCHIVE_TOO_LARGE",
        )
    seen: set[PurePosixPath] = set()
    for info in infos:
        # zipfile itself turns backslashes into slashes on Windows alone; here they would be part of a name.
        name, mode = PurePosixPath(info.filename.replace("\\", "/")), info.external_attr >> 16
        problem = ""
        if name.is_absolute() or ".." in name.parts or not name.parts or name.parts[0].endswith(":"):
            problem = "leads outside the folder"
        elif stat.S_IFMT(mode) not in (0, stat.S_IFREG, stat.S_IFDIR):
            problem = "is a link or a device"
        elif info.flag_bits & 0x1:
            problem = "is encrypted"
        elif name in seen:
            problem = "is there twice"
        if problem:
            raise CorruptDataError(
                f"{archive} is not unpacked, because its entry {info.filename!r} {problem}; get the archive from a "
                "source that you trust",
                reason="UNSAFE_ARCHIVE",
            )
        seen.add(name)


def _write(opened: zipfile.ZipFile, info: zipfile.ZipInfo, target: Path) -> None:
    part = target.with_name(f"{target.name}.part")
    with disk_faults(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        # A reader of zipfile gives no more bytes than the entry declares, so the sum that was checked holds.
        try:
            with opened.open(info) as source, part.open("wb") as file:
                shutil.copyfileobj(source, file, _BLOCK)
            part.replace(target)
        finally:
            part.unlink(missing_ok=True)
