"""How much may be trained at once, and by how much of the machine."""

from __future__ import annotations

import os
from dataclasses import dataclass

from aigc.errors import InvalidInputError

__all__ = ["TrainingLimits"]


@dataclass(frozen=True, slots=True)
class TrainingLimits:
    """The ``[training]`` settings, of jobs that a server runs.

    Attributes:
        threads: Of the processor that a job may use; 0 for half of them, one at least.
        niceness: How far jobs stand back behind everything else, from 0 to 19.
        queue: Jobs that may wait for their turn; one more is refused.
    """

    threads: int = 0
    niceness: int = 19
    queue: int = 100

    def __post_init__(self) -> None:
        """Refuse values without a meaning."""
        for name, most in (("threads", 1024), ("niceness", 19), ("queue", 1_000_000)):
            value = getattr(self, name)
            if not 0 <= value <= most:
                raise InvalidInputError(
                    f"training.{name} is {value}; give a number from 0 to {most:,}", field=f"training.{name}"
                )

    @property
    def chosen_threads(self) -> int:
        """The number that is meant by ``threads``."""
        return self.threads or max(1, len(os.sched_getaffinity(0)) // 2)
