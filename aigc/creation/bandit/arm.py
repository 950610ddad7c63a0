"""What can be chosen, what was chosen, and what came of it."""

from __future__ import annotations

import math
from dataclasses import dataclass

from aigc.errors import InvalidInputError

__all__ = ["Arm", "Choice", "Feedback"]


@dataclass(frozen=True, slots=True)
class Arm:
    """One thing that can be chosen now.

    Attributes:
        id: The same at each choice, so that what is learned of it counts.
        features: What is known of it, or of the user, or of both, now; empty for a policy that counts only.
    """

    id: str
    features: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Choice:
    """What was chosen.

    Attributes:
        arm: The arm.
        row: Its place among the arms that there were.
        propensity: The probability that the policy chose it with, in (0, 1]: never 0, and no estimate.
    """

    arm: Arm
    row: int
    propensity: float


@dataclass(frozen=True, slots=True)
class Feedback:
    """What came of one choice; the log of these is all that a policy's state is made from.

    Attributes:
        arm: The arm's id.
        reward: In [0, 1].
        features: The arm's, as they were when it was chosen.
        trials: How many trials it counts as, > 0: a rejection may count as several without success.
    """

    arm: str
    reward: float
    features: tuple[float, ...] = ()
    trials: float = 1.0

    def __post_init__(self) -> None:
        """Refuse values without a meaning."""
        if not 0 <= self.reward <= 1:
            raise InvalidInputError(f"reward is {self.reward}; give a number from 0 to 1", field="reward")
        if not (math.isfinite(self.trials) and self.trials > 0):
            raise InvalidInputError(f"trials is {self.trials}; give a number above 0", field="trials")
