"""The one face of all bandits, and what can be done with any of them."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from aigc.creation.bandit.arm import Arm, Choice, Feedback
from aigc.errors import InvalidInputError

__all__ = ["Bandit", "check_floor", "choose", "choose_several", "replay", "state_digest", "with_floor"]

S = TypeVar("S")


class Bandit(Protocol[S]):
    """Options that do not change; what is learned is the state, a plain frozen value.

    A policy is a distribution over the arms, computed in full, from which the arm is then drawn. So the propensity that
    is logged is the true one, and it is at least ``floor / number of arms``.
    """

    def start(self) -> S:
        """The state that knows nothing."""
        ...

    def probabilities(self, state: S, arms: Sequence[Arm]) -> NDArray[np.float64]:
        """(n,) float64 of n arms: above 0, summing to 1."""
        ...

    def learn(self, state: S, feedback: Iterable[Feedback]) -> S:
        """The state after more feedback, in its order; the old one is left as it was."""
        ...

    def to_json(self, state: S) -> dict[str, Any]:
        """The state as JSON's own types."""
        ...

    def from_json(self, raw: Mapping[str, Any]) -> S:
        """The inverse of :meth:`to_json`, exact; CorruptDataError when it is none."""
        ...


def choose(bandit: Bandit[S], state: S, arms: Sequence[Arm], seed: int) -> Choice:
    """Draw one arm.

    Args:
        bandit: The policy.
        state: What it has learned.
        arms: At least one, each once.
        seed: The same seed, state and arms give the same choice.
    """
    return choose_several(bandit, state, arms, 1, seed)[0]


def choose_several(bandit: Bandit[S], state: S, arms: Sequence[Arm], n: int, seed: int) -> list[Choice]:
    """Draw up to ``n`` different arms, one after the other.

    Each propensity is that of its own draw, among the arms that were left then: the policy of a place in a list, given
    what stands in the places before.
    """
    if not arms or n < 1:
        raise InvalidInputError(f"{len(arms)} arms and {n} choices: give at least one of each", field="arms")
    if len({arm.id for arm in arms}) != len(arms):
        raise InvalidInputError("an arm is there twice; give each once", field="arms")
    rng = np.random.default_rng(seed)
    left = list(range(len(arms)))
    choices: list[Choice] = []
    while left and len(choices) < n:
        chances = bandit.probabilities(state, [arms[row] for row in left])
        drawn = min(int(np.searchsorted(np.cumsum(chances), rng.random(), side="right")), len(left) - 1)
        choices.append(Choice(arms[left[drawn]], left[drawn], float(chances[drawn])))
        del left[drawn]
    return choices


def replay(bandit: Bandit[S], feedback: Iterable[Feedback]) -> S:
    """The state made from a whole log: the same value, to the last bit, as learning it piece by piece."""
    return bandit.learn(bandit.start(), feedback)


def state_digest(bandit: Bandit[S], state: S) -> str:
    """The state as one line of canonical JSON, by which two states can be compared."""
    return json.dumps(bandit.to_json(state), sort_keys=True, separators=(",", ":"))


def with_floor(chances: NDArray[np.float64], floor: float) -> NDArray[np.float64]:
    """Mix with the uniform choice: ``(1 - floor) · chances + floor / n``, summing to 1."""
    mixed = (1 - floor) * chances / chances.sum() + floor / len(chances)
    out: NDArray[np.float64] = mixed / mixed.sum()
    return out


def check_floor(floor: float) -> None:
    """Raise InvalidInputError unless 0 < floor ≤ 1."""
    if not (math.isfinite(floor) and 0 < floor <= 1):
        raise InvalidInputError(f"floor is {floor}; give a number above 0, at most 1", field="floor")
