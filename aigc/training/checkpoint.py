"""Checkpoints: everything that a run needs to go on as if it had never stopped."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.optim import Optimizer

from aigc import durable
from aigc.errors import CorruptDataError

__all__ = ["Checkpoints", "RunState"]

_FORMAT = 1
_MANIFEST = "manifest.json"
_ROLLBACKS = "ROLLBACKS"
_REMEDY = "remove this checkpoint's folder to go on from an older one, or the run's folder to begin anew"
_REASON = "CHECKPOINT_CORRUPT"


@dataclass(slots=True)
class RunState:
    """Where a run stands.

    Attributes:
        step: Steps done.
        seconds: Wall time spent.
        best: The target's best value; NaN before there is one.
        best_step: When it was reached; -1 before.
        waited: Validations since without a better one.
        healthy: True once diversity was above its limit.
        settings: What must be the same for the run to go on.
    """

    step: int = 0
    seconds: float = 0.0
    best: float = float("nan")
    best_step: int = -1
    waited: int = 0
    healthy: bool = False
    settings: dict[str, Any] = field(default_factory=dict)


class Checkpoints:
    """The folder ``checkpoints/`` of a run: one sub-folder a checkpoint, the weights in safetensors, never pickled."""

    def __init__(self, root: Path, keep: int = 2) -> None:
        """Args: root: the folder; keep: how many to leave besides the best."""
        self.root = root
        self._keep = keep

    def steps(self) -> list[int]:
        """Steps that have a checkpoint, rising."""
        if not self.root.is_dir():
            return []
        return sorted(int(p.name) for p in self.root.iterdir() if p.is_dir() and p.name.isdigit())

    def write(
        self,
        state: RunState,
        modules: Mapping[str, nn.Module],
        averages: Mapping[str, nn.Module],
        optimizers: Mapping[str, Optimizer],
    ) -> Path:
        """Write durably, then remove the oldest beyond ``keep``; the best one stays.

        Raises:
            ResourceExhaustedError: The disk is full; older checkpoints are unharmed.
        """
        final = self._path(state.step)

        def fill(folder: Path) -> None:
            save_file(_weights(modules), folder / "weights.safetensors")
            save_file(_weights(averages), folder / "averages.safetensors")
            tensors, scalars = _optimizer_state(optimizers)
            save_file(tensors, folder / "optimizers.safetensors")
            (folder / "optimizers.json").write_text(json.dumps(scalars), encoding="utf-8")

        def describe(files: dict[str, dict[str, Any]]) -> str:
            return json.dumps({"format": _FORMAT, "state": asdict(state), "files": files}, indent=1) + "\n"

        if not final.exists():
            self.root.mkdir(parents=True, exist_ok=True)
            durable.write_folder(final, fill, _MANIFEST, describe, what=f"checkpoint {state.step}")
        for step in self.steps()[: -self._keep]:
            if step != state.best_step:
                shutil.rmtree(self._path(step))
        return final

    def read_state(self, step: int) -> RunState:
        """What a checkpoint says of the run; its files are verified.

        Raises:
            CorruptDataError: A file is missing, truncated or changed, or of a newer format; names it.
        """
        folder = self._path(step)
        path = folder / _MANIFEST
        raw = durable.read_manifest(path, reason=_REASON, remedy=_REMEDY)
        if raw.get("format") != _FORMAT:
            raise CorruptDataError(
                f"{path} is of checkpoint format {raw.get('format')!r}, this version reads {_FORMAT}; {_REMEDY}",
                reason=_REASON,
            )
        try:
            files, told = raw["files"], raw["state"]
            state = RunState(**{f.name: told[f.name] for f in fields(RunState)})
        except (KeyError, TypeError) as error:
            raise CorruptDataError(f"{path} lacks {error}; {_REMEDY}", reason=_REASON) from error
        durable.verify_files(folder, files, hashes=True, reason=_REASON, remedy=_REMEDY)
        return state

    def restore(
        self,
        step: int,
        modules: Mapping[str, nn.Module],
        averages: Mapping[str, nn.Module],
        optimizers: Mapping[str, Optimizer],
    ) -> RunState:
        """Put a checkpoint's tensors into what is given.

        Raises:
            CorruptDataError: As :meth:`read_state`; also when a tensor is missing or of another shape.
        """
        state = self.read_state(step)
        folder = self._path(step)
        for name, target in (("weights", modules), ("averages", averages)):
            _put(folder / f"{name}.safetensors", target)
        tensors = _load(folder / "optimizers.safetensors")
        scalars = json.loads((folder / "optimizers.json").read_text(encoding="utf-8"))
        for name, optimizer in optimizers.items():
            inner: dict[int, dict[str, Any]] = {}
            parameters = [p for group in optimizer.param_groups for p in group["params"]]
            for key, value in (*tensors.items(), *scalars.items()):
                owner, index, entry = key.split("/", 2)
                if owner == name:
                    inner.setdefault(int(index), {})[entry] = _laid_out(value, parameters[int(index)])
            optimizer.load_state_dict({"state": inner, "param_groups": optimizer.state_dict()["param_groups"]})
        return state

    def rollbacks(self) -> int:
        """How often this run went back."""
        path = self.root / _ROLLBACKS
        return int(path.read_text(encoding="utf-8")) if path.exists() else 0

    def note_rollbacks(self, count: int) -> None:
        """Remember it beside the checkpoints, so that a killed run does not try the same for ever."""
        durable.replace_file(self.root / _ROLLBACKS, str(count))

    def _path(self, step: int) -> Path:
        return self.root / f"{step:09d}"


def _weights(modules: Mapping[str, nn.Module]) -> dict[str, Tensor]:
    # Tied weights stand once in parameters(); state_dict() would name one storage twice, which safetensors refuses.
    return {
        f"{name}/{key}": tensor.detach().contiguous()
        for name, module in modules.items()
        for key, tensor in (*module.named_parameters(), *module.named_buffers())
    }


def _optimizer_state(optimizers: Mapping[str, Optimizer]) -> tuple[dict[str, Tensor], dict[str, Any]]:
    tensors: dict[str, Tensor] = {}
    scalars: dict[str, Any] = {}
    for name, optimizer in optimizers.items():
        for index, entries in optimizer.state_dict()["state"].items():
            for key, value in entries.items():
                if isinstance(value, Tensor):
                    tensors[f"{name}/{index}/{key}"] = value.detach().contiguous()
                else:
                    scalars[f"{name}/{index}/{key}"] = value
    return tensors, scalars


def _laid_out(value: Any, parameter: Tensor) -> Any:
    """In the memory order of its parameter: fused optimisers pair the values by their place in memory.

    A file knows no order but the plain one, and a pixel-major convolution would get another weight's momentum (torch
    2.15, ``AdamW(fused=True)`` on a CPU).
    """
    if not isinstance(value, Tensor) or value.shape != parameter.shape:
        return value
    return torch.empty_like(parameter, dtype=value.dtype, requires_grad=False).copy_(value)


def _load(path: Path) -> dict[str, Tensor]:
    try:
        return load_file(path)
    except (SafetensorError, OSError, ValueError) as error:
        raise CorruptDataError(f"{path} is no safetensors file ({error}); {_REMEDY}", reason=_REASON) from error


@torch.no_grad()
def _put(path: Path, modules: Mapping[str, nn.Module]) -> None:
    tensors = _load(path)
    for key, target in (
        (f"{name}/{key}", tensor)
        for name, module in modules.items()
        for key, tensor in (*module.named_parameters(), *module.named_buffers())
    ):
        if key not in tensors or tensors[key].shape != target.shape:
            found = tuple(tensors[key].shape) if key in tensors else "nothing"
            raise CorruptDataError(
                f"{path} has {found} for {key}, the model wants {tuple(target.shape)}; the options differ from those "
                f"of the run: give the same, or {_REMEDY}",
                reason=_REASON,
            )
        target.copy_(tensors[key])
