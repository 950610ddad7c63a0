"""A saved model: ``config.json``, which says what it is, and ``.safetensors``, which nothing can hide code in."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from aigc.errors import CorruptDataError

__all__ = ["fill_module", "read_config", "read_tensors", "write_model"]

_REMEDY = "train it again, or restore the folder from where it came"


def write_model(
    folder: Path, kind: str, version: int, config: Mapping[str, Any], tensors: Mapping[str, Tensor]
) -> None:
    """Write ``config.json`` and ``model.safetensors``; ``folder`` exists.

    Args:
        folder: Where.
        kind: The recipe's name.
        version: Of the format; a reader refuses a newer one.
        config: Plain numbers, texts and lists.
        tensors: By name.
    """
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    save_file(plain, str(folder / "model.safetensors"))
    text = json.dumps({"kind": kind, "format": version, **config}, ensure_ascii=False, indent=1)
    (folder / "config.json").write_text(text + "\n", encoding="utf-8")


def read_config(folder: Path, kind: str, version: int) -> dict[str, Any]:
    """What ``config.json`` says.

    Raises:
        CorruptDataError: It is missing, broken, of another kind or newer than ``version``.
    """
    path = folder / "config.json"
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise CorruptDataError(f"{path} cannot be read ({error}); {_REMEDY}", reason="MODEL_CORRUPT") from error
    if not isinstance(config, dict) or config.get("kind") != kind:
        found = config.get("kind") if isinstance(config, dict) else type(config).__name__
        raise CorruptDataError(f"{path} describes {found!r}, not a {kind!r}; {_REMEDY}", reason="MODEL_CORRUPT")
    if not isinstance(config.get("format"), int) or not 1 <= config["format"] <= version:
        raise CorruptDataError(
            f"{path} has format {config.get('format')!r}, and this version reads up to {version}; update aigc",
            reason="MODEL_CORRUPT",
        )
    return config


def read_tensors(folder: Path) -> dict[str, Tensor]:
    """The tensors of ``model.safetensors``.

    Raises:
        CorruptDataError: The file is missing, cut off, or something else (a pickle, say).
    """
    path = folder / "model.safetensors"
    try:
        return load_file(str(path))
    except (OSError, SafetensorError, ValueError) as error:
        raise CorruptDataError(f"{path} cannot be read ({error}); {_REMEDY}", reason="MODEL_CORRUPT") from error


def fill_module(module: nn.Module, tensors: Mapping[str, Tensor], prefix: str, folder: Path) -> None:
    """Give a module the tensors whose names begin with ``prefix`` and a dot.

    Raises:
        CorruptDataError: One is missing, has another shape, or has no place.
    """
    own = {name.removeprefix(f"{prefix}."): t for name, t in tensors.items() if name.startswith(f"{prefix}.")}
    try:
        module.load_state_dict(own)
    except RuntimeError as error:
        first = str(error).splitlines()[-1].strip()
        raise CorruptDataError(
            f"{folder / 'model.safetensors'} does not fit its config.json ({first}); {_REMEDY}", reason="MODEL_CORRUPT"
        ) from error
