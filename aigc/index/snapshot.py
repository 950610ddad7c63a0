"""Snapshots on disk: write beside, sync, rename, publish; verify and open. The format is in ``docs/snapshot.md``."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aigc.durable import remove_partial, replace_file, verify_files, write_folder
from aigc.errors import NotFoundError
from aigc.index.manifest import MANIFEST, Manifest, read_manifest

__all__ = ["OpenSnapshot", "SnapshotFolder"]

_CURRENT = "CURRENT"
_REMEDY = "restore the file or build a new snapshot with `aigc train`"
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

        def fill(partial: Path) -> None:
            for name, array in arrays.items():
                np.save(partial / f"{name}.npy", np.ascontiguousarray(array), allow_pickle=False)
            if extra is not None:
                extra(partial)

        return write_folder(
            self.root / manifest.id,
            fill,
            MANIFEST,
            lambda files: replace(manifest, files=files).to_json(),
            what=f"snapshot {manifest.id}",
        )

    def publish(self, snapshot_id: str) -> None:
        """Make ``snapshot_id`` the one that a start, and every running server, opens."""
        replace_file(self.root / _CURRENT, f"{snapshot_id}\n")

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

        verify_files(folder, manifest.files, hashes=verify, reason="SNAPSHOT_CORRUPT", remedy=_REMEDY)
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
        remove_partial(self.root)


def _map(path: Path) -> NDArray[Any]:
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except ValueError:
        # A map of zero bytes is refused by the operating system; an empty array needs none.
        array = np.load(path, allow_pickle=False)
    return array  # type: ignore[no-any-return]
