"""Fitted arrays on disk, and the version that is their hash."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aigc.errors import CorruptDataError

__all__ = ["read_arrays", "read_json", "unit_rows", "version_of", "write_arrays"]


def version_of(arrays: Mapping[str, NDArray[Any]], settings: Mapping[str, Any]) -> str:
    """12 hexadecimal digits of the SHA-256 of everything that decides an encoding."""
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True, ensure_ascii=False).encode())
    for name in sorted(arrays):
        digest.update(name.encode())
        digest.update(np.ascontiguousarray(arrays[name]).tobytes())
    return digest.hexdigest()[:12]


def write_arrays(folder: Path, arrays: Mapping[str, NDArray[Any]], settings: Mapping[str, Any]) -> None:
    """Write ``<name>.npy`` for each array, and ``encoder.json``."""
    for name, array in arrays.items():
        np.save(folder / f"{name}.npy", array, allow_pickle=False)
    (folder / "encoder.json").write_text(json.dumps(settings, ensure_ascii=False), encoding="utf-8")


def read_json(folder: Path) -> dict[str, Any]:
    """The settings that :func:`write_arrays` wrote; CorruptDataError names a file that is none."""
    path = folder / "encoder.json"
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CorruptDataError(
            f"{path} cannot be read ({error}); build a new snapshot with `aigc train`", reason="SNAPSHOT_CORRUPT"
        ) from error
    if not isinstance(raw, dict):
        raise CorruptDataError(f"{path} holds no JSON object; train again", reason="SNAPSHOT_CORRUPT")
    return raw


def read_arrays(folder: Path, *names: str) -> list[NDArray[Any]]:
    """The arrays by name; CorruptDataError names one that is missing or broken."""
    arrays = []
    for name in names:
        path = folder / f"{name}.npy"
        try:
            arrays.append(np.load(path, allow_pickle=False))
        except (OSError, ValueError, EOFError) as error:
            raise CorruptDataError(
                f"{path} cannot be read ({error}); build a new snapshot with `aigc train`", reason="SNAPSHOT_CORRUPT"
            ) from error
    return arrays


def unit_rows(rows: NDArray[Any]) -> NDArray[np.float32]:
    """Rows scaled to unit length in float32; what has no direction, or is not finite, becomes zeros."""
    rows = np.nan_to_num(rows.astype(np.float64), nan=0.0, posinf=0.0, neginf=0.0)
    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.where(norms > 1e-9, rows / np.maximum(norms, 1e-9), 0.0).astype(np.float32)
