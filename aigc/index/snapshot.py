"""Snapshots on disk: write beside, sync, rename, publish; verify and open. The format is in ``docs/snapshot.md``."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aigc.errors import CorruptDataError, NotFoundError, ResourceExhaustedError
from aigc.index.manifest import MANIFEST, Manifest, read_manifest

__all__ = ["OpenSnapshot", "SnapshotFolder"]

_CURRENT = "CURRENT"
_PARTIAL = ".partial-"
Arrays = Mapping[str, NDArray[Any]]


@dataclass(frozen=True, slots=True)
class OpenSnapshot:
    """A verified snapshot: ``arrays`` are read-only memory maps by name, ``folder`` holds the other files."""

    folder: Path
    manifest: Manifest
    arrays: dict[str, NDArray[Any]]


@dataclass(frozen=True, slots=True)
class SnapshotFolder:
    """The folder ``snapshots/`` of a data directory: one sub-folder a snapshot, and ``CURRENT`` naming one of them."""

    root: Path

    def write(self, manifest: Manifest, arrays: Arrays, extra: Callable[[Path], None] | None = None) -> Path:
        """Write a snapshot durably and give its folder; nothing refers to it until :meth:`publish`.

        Args:
            manifest: All but ``files``, which is computed here.
            arrays: Name → array, saved as ``<name>.npy``.
            extra: Called with the unfinished folder to add further files (encoder, FAISS indexes).

        Raises:
            ResourceExhaustedError: The disk is full; what was written is removed.
        """
        partial = self.root / f"{_PARTIAL}{manifest.id}"
        final = self.root / manifest.id
        try:
            partial.mkdir(parents=True)
            for name, array in arrays.items():
                np.save(partial / f"{name}.npy", np.ascontiguousarray(array), allow_pickle=False)
            if extra is not None:
                extra(partial)
            paths = sorted(p for p in partial.rglob("*") if p.is_file())
            with ThreadPoolExecutor(2) as pool:
                hashes = list(pool.map(_sha256, paths))
            files = {
                p.relative_to(partial).as_posix(): {"bytes": p.stat().st_size, "sha256": h}
                for p, h in zip(paths, hashes, strict=True)
            }
            (partial / MANIFEST).write_text(replace(manifest, files=files).to_json(), encoding="utf-8")
            for path in [*paths, partial / MANIFEST, *{p.parent for p in paths}, partial]:
                _sync(path)
            partial.rename(final)
            _sync(self.root)
        except OSError as error:
            shutil.rmtree(partial, ignore_errors=True)
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise ResourceExhaustedError(
                    f"the disk of {self.root} is full: snapshot {manifest.id} was not written; free some space "
                    "and build again (the current snapshot goes on serving)",
                    reason="DISK_FULL",
                ) from error
            raise
        except BaseException:
            shutil.rmtree(partial, ignore_errors=True)
            raise
        return final

    def publish(self, snapshot_id: str) -> None:
        """Make ``snapshot_id`` the one that a start, and every running server, opens."""
        pending = self.root / f"{_CURRENT}.new"
        pending.write_text(f"{snapshot_id}\n", encoding="utf-8")
        _sync(pending)
        pending.replace(self.root / _CURRENT)
        _sync(self.root)

    def current_id(self) -> str:
        """The published id, empty when nothing was published yet."""
        try:
            return (self.root / _CURRENT).read_text(encoding="utf-8").strip()
        except FileNotFoundError:
            return ""

    def ids(self) -> list[str]:
        """All finished snapshots, oldest first."""
        if not self.root.is_dir():
            return []
        return sorted(p.name for p in self.root.iterdir() if p.is_dir() and not p.name.startswith("."))

    def open(self, snapshot_id: str = "", *, verify: bool = True) -> OpenSnapshot:
        """Verify and map a snapshot, the published one by default.

        Args:
            snapshot_id: A name from :meth:`ids`.
            verify: Compare every file with its hash; without it only the sizes are compared.

        Raises:
            NotFoundError: Nothing was published, or no such snapshot.
            CorruptDataError: A file is absent, of another size, or does not match its hash; names the file.
        """
        name = snapshot_id or self.current_id()
        if not name:
            raise NotFoundError(
                f"no snapshot is published in {self.root}; build one with `aigc train`", reason="NO_SNAPSHOT"
            )
        folder = self.root / name
        if name not in self.ids():
            raise NotFoundError(
                f"snapshot {name!r} is not in {self.root}; there are: {', '.join(self.ids()) or 'none'}",
                reason="NO_SNAPSHOT",
            )
        manifest = read_manifest(folder)

        def check(entry: tuple[str, Mapping[str, Any]]) -> None:
            _check_file(folder / entry[0], int(entry[1]["bytes"]), str(entry[1]["sha256"]) if verify else "")

        with ThreadPoolExecutor(2) as pool:
            list(pool.map(check, sorted(manifest.files.items(), key=lambda e: -int(e[1]["bytes"]))))
        arrays = {
            Path(name).stem: _map(folder / name) for name in manifest.files if name.endswith(".npy") and "/" not in name
        }
        return OpenSnapshot(folder, manifest, arrays)

    def collect(self, keep: int) -> list[str]:
        """Remove all but the newest ``keep`` snapshots and the published one; leftovers of killed builds go too."""
        if not self.root.is_dir():
            return []
        ids = self.ids()
        doomed = [i for i in ids[: max(0, len(ids) - keep)] if i != self.current_id()]
        for name in doomed:
            shutil.rmtree(self.root / name, ignore_errors=True)
        return doomed

    def remove_partial(self) -> None:
        """Remove what killed builds left behind; call it only while no build runs."""
        for path in self.root.glob(f"{_PARTIAL}*"):
            shutil.rmtree(path, ignore_errors=True)


def _check_file(path: Path, size: int, sha256: str) -> None:
    """Raise CorruptDataError unless the file has its size and, when ``sha256`` is given, its hash."""
    remedy = "restore the file or build a new snapshot with `aigc train`"
    try:
        found = path.stat().st_size
    except FileNotFoundError:
        raise CorruptDataError(f"{path} is missing; {remedy}", reason="SNAPSHOT_CORRUPT") from None
    if found != size:
        raise CorruptDataError(
            f"{path} has {found} bytes, its manifest says {size} (truncated?); {remedy}", reason="SNAPSHOT_CORRUPT"
        )
    if sha256 and (actual := _sha256(path)) != sha256:
        raise CorruptDataError(
            f"{path} does not match its checksum (sha256 {actual[:12]}…, expected {sha256[:12]}…); {remedy}",
            reason="SNAPSHOT_CORRUPT",
        )


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _sync(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _map(path: Path) -> NDArray[Any]:
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except ValueError:
        # A map of zero bytes is refused by the operating system; an empty array needs none.
        array = np.load(path, allow_pickle=False)
    return array  # type: ignore[no-any-return]
