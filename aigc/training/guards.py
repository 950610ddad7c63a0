"""When a run goes back, and when it ends."""

from __future__ import annotations

import math
from collections.abc import Mapping

from aigc.errors import AigcError, InvalidInputError
from aigc.training.checkpoint import RunState
from aigc.training.options import TrainerOptions

__all__ = ["DIVERSITY", "TrainingFailedError", "collapsed", "is_finite", "judge_target"]

DIVERSITY = "diversity"


class TrainingFailedError(AigcError):
    """A run went back as often as it may and failed again."""

    default_reason = "TRAINING_FAILED"


def is_finite(values: Mapping[str, float]) -> bool:
    """No NaN and no infinity among them?"""
    return all(math.isfinite(v) for v in values.values())


def collapsed(measures: Mapping[str, float], state: RunState, options: TrainerOptions) -> bool:
    """Has a model that was diverse lost it? A model that never was is young, not collapsed."""
    diversity = measures.get(DIVERSITY, math.nan)
    if diversity >= options.collapse_below:
        state.healthy = True
    return state.healthy and diversity < options.collapse_below


def judge_target(measures: Mapping[str, float], state: RunState, options: TrainerOptions) -> bool:
    """Note whether the target got better; True when the run has converged.

    Raises:
        InvalidInputError: The task does not measure the target.
    """
    if not options.target:
        return False
    if options.target not in measures:
        raise InvalidInputError(
            f"trainer.target is {options.target!r}; this model is measured by "
            f"{', '.join(sorted(measures)) or 'nothing'}",
            field="trainer.target",
        )
    value = measures[options.target]
    gain = (value - state.best) if options.target_rises else (state.best - value)
    if math.isnan(state.best) or gain > options.least_gain:
        state.best, state.best_step, state.waited = value, state.step, 0
    else:
        state.waited += 1
    return bool(options.patience) and state.waited >= options.patience
