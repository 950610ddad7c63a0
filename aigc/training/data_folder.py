"""Data as it was when a run began, so that the run goes on with it whatever became of the catalogue meanwhile."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aigc import durable
from aigc.errors import CorruptDataError
from aigc.generate.base import ImageData, SoundData, TextData
from aigc.training.data import Data, TrainingData

__all__ = ["read_data", "write_data"]

_MANIFEST = "manifest.json"
_FORMAT = 1
_REASON = "DATA_CORRUPT"
_REMEDY = "remove the run's folder and train again"


def write_data(folder: Path, data: TrainingData) -> None:
    """Write durably, arrays as ``.npy`` and the rest as JSON; ``folder`` does not exist yet.

    Raises:
        ResourceExhaustedError: The disk is full.
    """

    def fill(target: Path) -> None:
        for name, part in (("train", data.train), ("held_out", data.held_out)):
            _write_part(target, name, part)

    def describe(files: dict[str, dict[str, Any]]) -> str:
        told = {"count": data.count, "sha256": data.sha256, "notes": data.notes}
        return json.dumps({"format": _FORMAT, **told, "files": files}, ensure_ascii=False, indent=1) + "\n"

    folder.parent.mkdir(parents=True, exist_ok=True)
    durable.write_folder(folder, fill, _MANIFEST, describe, what="the data of the run")


def read_data(folder: Path) -> TrainingData:
    """What :func:`write_data` wrote.

    Raises:
        CorruptDataError: A file is missing, changed or newer; names it.
    """
    path = folder / _MANIFEST
    raw = durable.read_manifest(path, reason=_REASON, remedy=_REMEDY)
    if raw.get("format") != _FORMAT:
        raise CorruptDataError(
            f"{path} has format {raw.get('format')!r}, this version reads {_FORMAT}; {_REMEDY}", reason=_REASON
        )
    try:
        durable.verify_files(folder, raw["files"], hashes=True, reason=_REASON, remedy=_REMEDY)
        train, held_out = _read_part(folder, "train"), _read_part(folder, "held_out")
        return TrainingData(train, held_out, raw["count"], raw["sha256"], tuple(raw["notes"]))
    except (KeyError, TypeError, ValueError) as error:
        raise CorruptDataError(f"{path} does not describe the data ({error!r}); {_REMEDY}", reason=_REASON) from error


def _write_part(folder: Path, name: str, data: Data) -> None:
    arrays: dict[str, NDArray[Any]] = {}
    if isinstance(data, ImageData):
        arrays = {"pixels": data.pixels, "labels": data.labels}
        told: dict[str, Any] = {"classes": data.classes, "captions": data.captions}
    elif isinstance(data, SoundData):
        arrays = {
            "samples": np.concatenate([*data.samples, np.empty(0, np.float32)]),
            "lengths": np.array([len(s) for s in data.samples], np.int64),
            "labels": data.labels,
        }
        told = {"classes": data.classes, "rate": data.rate}
    else:
        told = asdict(data)
    for key, array in arrays.items():
        np.save(folder / f"{name}.{key}.npy", array, allow_pickle=False)
    text = json.dumps({"type": type(data).__name__, **told}, ensure_ascii=False)
    (folder / f"{name}.json").write_text(text, encoding="utf-8", errors="surrogatepass")


def _read_part(folder: Path, name: str) -> Data:
    raw = json.loads((folder / f"{name}.json").read_text(encoding="utf-8", errors="surrogatepass"))
    kind = raw.pop("type")

    def array(key: str) -> NDArray[Any]:
        loaded: NDArray[Any] = np.load(folder / f"{name}.{key}.npy", allow_pickle=False)
        return loaded

    if kind == "ImageData":
        return ImageData(array("pixels"), array("labels"), tuple(raw["classes"]), tuple(raw["captions"]))
    if kind == "SoundData":
        parts = np.split(array("samples"), np.cumsum(array("lengths"))[:-1])
        return SoundData(tuple(parts), raw["rate"], array("labels"), tuple(raw["classes"]))
    pairs = {key: tuple((str(a), str(b)) for a, b in raw[key]) for key in ("pairs", "held_out_pairs")}
    return TextData(tuple(raw["documents"]), tuple(raw["held_out"]), **pairs)
