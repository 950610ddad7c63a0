"""LinUCB: a reward that is linear in what is known beforehand, taken at the upper end of its uncertainty."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aigc.creation.bandit.arm import Arm, Feedback
from aigc.creation.bandit.policy import check_floor, with_floor
from aigc.errors import CorruptDataError, InvalidInputError

__all__ = ["LinUcb", "LinUcbState", "LinearSums"]

_SHARED = ""


@dataclass(frozen=True, slots=True)
class LinearSums:
    """All that ridge regression needs: Σ t·x·xᵀ as rows, Σ x·r, and Σ t, over observations (x, r) of t trials."""

    gram: tuple[tuple[float, ...], ...]
    target: tuple[float, ...]
    trials: float = 0.0


@dataclass(frozen=True, slots=True)
class LinUcbState:
    """Arm → its sums; the one key "" where all arms share them."""

    sums: Mapping[str, LinearSums] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class LinUcb:
    """LinUCB (Li, Chu, Langford and Schapire 2010, algorithm 1), mixed with an even choice.

    The largest θᵀx + α·√(xᵀ A⁻¹ x) wins, the lower row among equals; A = reg·I + Σ x·xᵀ and θ = A⁻¹ Σ x·r. The even
    part makes it a distribution with known propensities: 1 - floor + floor/n for the winner, floor/n for each other.

    Attributes:
        size: Features an arm has; one of them should be a constant 1.
        shared: True learns one θ for all arms, from features that tell arms apart: for arms that come and go, such as
            new items. False learns one an arm, from features of the user: for arms that stay, such as models.
        alpha: Width of the uncertainty that counts, ≥ 0.
        reg: Ridge, > 0.
        floor: Part of all choices that is made evenly, in (0, 1].
    """

    size: int
    shared: bool = False
    alpha: float = 0.5
    reg: float = 1.0
    floor: float = 0.1

    def __post_init__(self) -> None:
        """Refuse values without a meaning."""
        check_floor(self.floor)
        if self.size < 1:
            raise InvalidInputError(f"size is {self.size}; give at least 1", field="size")
        if not (math.isfinite(self.alpha) and self.alpha >= 0):
            raise InvalidInputError(f"alpha is {self.alpha}; give 0 or more", field="alpha")
        if not (math.isfinite(self.reg) and self.reg > 0):
            raise InvalidInputError(f"reg is {self.reg}; give a number above 0", field="reg")

    def start(self) -> LinUcbState:
        """See :class:`aigc.creation.bandit.policy.Bandit`."""
        return LinUcbState()

    def bounds(self, state: LinUcbState, arms: Sequence[Arm]) -> NDArray[np.float64]:
        """(n,) float64: the upper end of what each arm may bring."""
        solved: dict[str, tuple[NDArray[np.float64], NDArray[np.float64]]] = {}
        values = np.empty(len(arms))
        for row, arm in enumerate(arms):
            key = _SHARED if self.shared else arm.id
            if key not in solved:
                solved[key] = self._solve(state.sums.get(key))
            inverse, theta = solved[key]
            x = self._vector(arm.features)
            values[row] = theta @ x + self.alpha * math.sqrt(max(0.0, float(x @ inverse @ x)))
        return values

    def probabilities(self, state: LinUcbState, arms: Sequence[Arm]) -> NDArray[np.float64]:
        """See :class:`aigc.creation.bandit.policy.Bandit`."""
        chances = np.zeros(len(arms))
        chances[int(np.argmax(self.bounds(state, arms)))] = 1.0
        return with_floor(chances, self.floor)

    def learn(self, state: LinUcbState, feedback: Iterable[Feedback]) -> LinUcbState:
        """See :class:`aigc.creation.bandit.policy.Bandit`."""
        opened: dict[str, tuple[NDArray[np.float64], NDArray[np.float64], float]] = {}
        for entry in feedback:
            key = _SHARED if self.shared else entry.arm
            x = self._vector(entry.features)
            gram, target, trials = opened[key] if key in opened else self._open(state.sums.get(key))
            opened[key] = gram + entry.trials * np.outer(x, x), target + entry.reward * x, trials + entry.trials
        closed = {
            key: LinearSums(tuple(map(tuple, gram.tolist())), tuple(target.tolist()), trials)
            for key, (gram, target, trials) in opened.items()
        }
        return LinUcbState({**state.sums, **closed})

    def to_json(self, state: LinUcbState) -> dict[str, Any]:
        """See :class:`aigc.creation.bandit.policy.Bandit`; JSON's shortest decimals give each float64 back exactly."""
        return {
            "sums": {
                key: {"gram": [list(row) for row in s.gram], "target": list(s.target), "trials": s.trials}
                for key, s in sorted(state.sums.items())
            }
        }

    def from_json(self, raw: Mapping[str, Any]) -> LinUcbState:
        """See :class:`aigc.creation.bandit.policy.Bandit`."""
        try:
            sums = {str(key): self._read(entry) for key, entry in raw["sums"].items()}
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise CorruptDataError(f"no state of LinUCB: {error}; rebuild it from the log") from error
        return LinUcbState(sums)

    def _read(self, entry: Mapping[str, Any]) -> LinearSums:
        gram = tuple(tuple(float(v) for v in row) for row in entry["gram"])
        target = tuple(float(v) for v in entry["target"])
        if len(target) != self.size or [len(row) for row in gram] != [self.size] * self.size:
            raise ValueError(f"sums of another size than {self.size}")
        if not np.isfinite(gram).all() or not np.isfinite(target).all():
            raise ValueError("sums that are not finite")
        return LinearSums(gram, target, float(entry["trials"]))

    def _open(self, sums: LinearSums | None) -> tuple[NDArray[np.float64], NDArray[np.float64], float]:
        if sums is None:
            return np.zeros((self.size, self.size)), np.zeros(self.size), 0.0
        return np.array(sums.gram), np.array(sums.target), sums.trials

    def _solve(self, sums: LinearSums | None) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        gram, target, _ = self._open(sums)
        inverse = np.asarray(np.linalg.inv(gram + self.reg * np.eye(self.size)), np.float64)
        return inverse, inverse @ target

    def _vector(self, features: Sequence[float]) -> NDArray[np.float64]:
        x = np.array(features, np.float64)
        if x.shape != (self.size,) or not np.isfinite(x).all():
            raise InvalidInputError(
                f"features are {features!r}; give {self.size} finite numbers an arm", field="features"
            )
        return x
