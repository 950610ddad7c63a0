"""Backup and restore: one portable form for both databases."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from aigc.errors import ConflictError, CorruptDataError, NotFoundError
from aigc.store.sql import SqlStore

__all__ = ["backup", "restore"]

_FORMAT = 1
_MANIFEST = "backup.json"
Progress = Callable[[float], None]


def backup(store: SqlStore, folder: Path, progress: Progress = lambda _: None) -> dict[str, int]:
    """Copy every table into ``folder`` as JSON lines, with the numbers that order writes, and a manifest of hashes.

    Returns:
        Table → rows.

    Raises:
        ConflictError: The folder is not empty.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.iterdir()):
        raise ConflictError(f"{folder} is not empty; give a new folder, so that no backup is overwritten")
    counts: dict[str, int] = {}
    files: dict[str, dict[str, Any]] = {}
    for place, name in enumerate(store.table_names):
        path = folder / f"{name}.jsonl"
        digest, rows = hashlib.sha256(), 0
        with path.open("wb") as file:
            for row in store.dump_table(name):
                line = json.dumps(row, ensure_ascii=False, default=_bytes).encode() + b"\n"
                digest.update(line)
                file.write(line)
                rows += 1
        counts[name] = rows
        files[name] = {"rows": rows, "sha256": digest.hexdigest()}
        progress((place + 1) / len(store.table_names))
    manifest = json.dumps({"format": _FORMAT, "tables": files}, indent=1)
    (folder / _MANIFEST).write_text(manifest, encoding="utf-8")
    return counts


def restore(folder: Path, store: SqlStore, progress: Progress = lambda _: None) -> dict[str, int]:
    """Fill an empty store; every file is compared with its hash before the first row is written.

    Returns:
        Table → rows.

    Raises:
        NotFoundError: The folder holds no backup.
        CorruptDataError: A file is missing, altered or truncated, or of a newer format; names it.
        ConflictError: The store is not empty.
    """
    try:
        manifest = json.loads((folder / _MANIFEST).read_text(encoding="utf-8"))
        tables: dict[str, dict[str, Any]] = manifest["tables"]
    except FileNotFoundError:
        raise NotFoundError(f"{folder} holds no {_MANIFEST}; give the folder that `aigc backup` wrote") from None
    except (ValueError, KeyError, TypeError) as error:
        raise CorruptDataError(f"{folder / _MANIFEST} cannot be read ({error})", reason="BACKUP_CORRUPT") from error
    if manifest.get("format") != _FORMAT or set(tables) - set(store.table_names):
        raise CorruptDataError(
            f"{folder} is of backup format {manifest.get('format')}, this version reads {_FORMAT}; upgrade aigc",
            reason="BACKUP_FORMAT",
        )
    for name, said in tables.items():
        path = folder / f"{name}.jsonl"
        if not path.is_file():
            raise CorruptDataError(f"{path} is missing; copy the backup again", reason="BACKUP_CORRUPT")
        with path.open("rb") as file:
            if hashlib.file_digest(file, "sha256").hexdigest() != said["sha256"]:
                raise CorruptDataError(
                    f"{path} does not match its checksum (altered or truncated); copy the backup again",
                    reason="BACKUP_CORRUPT",
                )
    counts = store.counts()
    if counts.items or counts.events or store.creations.list(limit=1) or any(True for _ in store.iterate_preferences()):
        raise ConflictError("the store is not empty; restore into a new data directory or database")
    for place, name in enumerate(tables):
        store.load_table(name, _rows(folder / f"{name}.jsonl"))
        progress((place + 1) / len(tables))
    return {name: int(said["rows"]) for name, said in tables.items()}


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    with path.open(encoding="utf-8") as file:
        for line in file:
            row = json.loads(line)
            for key, value in row.items():
                if isinstance(value, dict):
                    row[key] = base64.b64decode(value["base64"])
            yield row


def _bytes(value: bytes) -> dict[str, str]:
    return {"base64": base64.b64encode(value).decode()}
