"""What a choice would have brought, foretold from the context: one ridge regression an action."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from aigc.errors import InvalidInputError

__all__ = ["RewardModel", "RidgeRewardModel"]


class RewardModel(Protocol):
    """Fitted on some of a log, asked about the rest."""

    def predict(
        self,
        contexts: NDArray[np.float64],
        actions: NDArray[np.int64],
        rewards: NDArray[np.float64],
        n_actions: int,
        asked: NDArray[np.float64],
    ) -> NDArray[np.float64]:
        """Expected rewards of every action.

        Args:
            contexts: (n, d) float64 of the log.
            actions: (n,) int64 of the log.
            rewards: (n,) float64 of the log.
            n_actions: How many actions there are.
            asked: (m, d) float64 contexts to foretell.

        Returns:
            (m, n_actions) float64.
        """
        ...


@dataclass(frozen=True, slots=True)
class RidgeRewardModel:
    """Linear in the context, with an intercept of each action that is drawn to the mean of all.

    Attributes:
        reg: Ridge on the coefficients, > 0.
    """

    reg: float = 1.0

    def __post_init__(self) -> None:
        """Refuse values without a meaning."""
        if not (math.isfinite(self.reg) and self.reg > 0):
            raise InvalidInputError(f"reg is {self.reg}; give a number above 0", field="reg")

    def predict(
        self,
        contexts: NDArray[np.float64],
        actions: NDArray[np.int64],
        rewards: NDArray[np.float64],
        n_actions: int,
        asked: NDArray[np.float64],
    ) -> NDArray[np.float64]:
        """See :class:`RewardModel`; an action that the log lacks is foretold as the mean of all."""
        mean = float(rewards.mean()) if len(rewards) else 0.0
        design = np.column_stack((np.ones(len(contexts)), contexts))  # (n, d + 1)
        wanted = np.column_stack((np.ones(len(asked)), asked))
        ridge = self.reg * np.eye(design.shape[1])
        found = np.empty((len(asked), n_actions))
        for action in range(n_actions):
            rows = actions == action
            x = design[rows]
            found[:, action] = mean + wanted @ np.linalg.solve(x.T @ x + ridge, x.T @ (rewards[rows] - mean))
        return found
