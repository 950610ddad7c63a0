"""The learning rate over a run, as a share of its peak."""

from __future__ import annotations

import math

from aigc.training.options import TrainerOptions

__all__ = ["rate_at"]

_DECAY_SHARE = 0.2


def rate_at(step: int, options: TrainerOptions) -> float:
    """In [0, 1] for ``step`` from 0: a function of the step alone, so that resuming needs no memory of it.

    Cosine after Loshchilov and Hutter 2017; trapezoid (warm-up, flat, linear down) after Zhai et al. 2022.
    """
    if step < options.warmup_steps:
        return (step + 1) / (options.warmup_steps + 1)
    done = min(1.0, (step - options.warmup_steps) / max(1, options.steps - options.warmup_steps))
    if options.schedule == "constant":
        return 1.0
    if options.schedule == "cosine":
        share = 0.5 * (1 + math.cos(math.pi * done))
    elif options.schedule == "linear":
        share = 1 - done
    else:
        share = min(1.0, (1 - done) / _DECAY_SHARE)
    return options.final_rate + (1 - options.final_rate) * share
