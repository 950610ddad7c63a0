"""How a training run goes, whatever is trained."""

from __future__ import annotations

import math
from dataclasses import dataclass

from aigc.errors import InvalidInputError

__all__ = ["MAY_CHANGE", "TrainerOptions"]

# What may differ between the first part of a run and the rest: when it ends, what it reports, how it is sped up.
MAY_CHANGE = (
    "log_every",
    "validate_every",
    "checkpoint_every",
    "keep_checkpoints",
    "max_seconds",
    "max_rollbacks",
    "compile",
)

_SCHEDULES = ("constant", "linear", "cosine", "trapezoid")
_PRECISIONS = ("auto", "float32", "bfloat16")


@dataclass(frozen=True, slots=True)
class TrainerOptions:
    """The settings of the one loop.

    Attributes:
        steps: Optimisation steps in all.
        seed: Of everything random.
        schedule: Of the learning rates: ``constant``, ``linear`` or ``cosine`` down, or ``trapezoid`` (flat, then down
            over the last fifth).
        warmup_steps: Over which the rates rise from 0.
        final_rate: What is left of the peak at the end, in [0, 1].
        clip_norm: Largest norm of an optimiser's gradient; 0 for no limit.
        average_decay: Of the moving average of the weights, in [0, 1); 0 keeps no average.
        precision: ``float32``, ``bfloat16`` (autocast), or ``auto``: bfloat16 on a GPU, float32 elsewhere.
        compile: Compile the modules with ``torch.compile``.
        log_every: Steps between two reports of the losses.
        validate_every: Steps between two validations; 0 for one at the end.
        checkpoint_every: Steps between two checkpoints; 0 for one at the end.
        keep_checkpoints: How many stay on disk.
        target: The validation measure that decides what is best; "" for the last state.
        target_rises: True when more of it is better.
        patience: Validations without a better target after which the run has converged and ends; 0 for never.
        least_gain: What counts as better, in units of the target.
        max_seconds: Wall time after which the run ends; 0 for no limit.
        collapse_below: Diversity under which a model that was once above it counts as collapsed.
        max_rollbacks: How often to go back to the last good checkpoint before giving up.
    """

    steps: int = 1000
    seed: int = 0
    schedule: str = "cosine"
    warmup_steps: int = 0
    final_rate: float = 0.0
    clip_norm: float = 0.0
    average_decay: float = 0.999
    precision: str = "auto"
    compile: bool = False
    log_every: int = 10
    validate_every: int = 0
    checkpoint_every: int = 0
    keep_checkpoints: int = 2
    target: str = ""
    target_rises: bool = False
    patience: int = 0
    least_gain: float = 0.0
    max_seconds: float = 0.0
    collapse_below: float = 0.2
    max_rollbacks: int = 3

    def __post_init__(self) -> None:
        """Refuse values without a meaning."""
        for name, least in (
            ("steps", 1),
            ("log_every", 1),
            ("keep_checkpoints", 1),
            ("warmup_steps", 0),
            ("validate_every", 0),
            ("checkpoint_every", 0),
            ("patience", 0),
            ("max_rollbacks", 0),
            ("clip_norm", 0),
            ("least_gain", 0),
            ("max_seconds", 0),
        ):
            value = getattr(self, name)
            if not least <= value < math.inf:
                _refuse(name, value, f"a number of at least {least}")
        for name in ("final_rate", "average_decay", "collapse_below"):
            value = getattr(self, name)
            if not 0 <= value <= 1 or (name == "average_decay" and value == 1):
                _refuse(name, value, "a number from 0 to 1")
        for name, known in (("schedule", _SCHEDULES), ("precision", _PRECISIONS)):
            if getattr(self, name) not in known:
                _refuse(name, getattr(self, name), f"one of {', '.join(known)}")
        if self.patience and not self.target:
            _refuse("patience", self.patience, "0, or name the target that is to get better")


def _refuse(name: str, value: object, wanted: str) -> None:
    raise InvalidInputError(f"trainer.{name} is {value!r}; give {wanted}", field=f"trainer.{name}")
