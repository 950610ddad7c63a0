"""What is worth trying: generators with their ways, or single new items, learned from what people did with them."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping, Sequence

from aigc.creation.bandit.arm import Arm, Feedback
from aigc.creation.bandit.generation_arm import GenerationArm
from aigc.creation.bandit.policy import choose
from aigc.creation.bandit.thompson import ThompsonSampling, ThompsonState

__all__ = ["Arms"]

# An impression alone says little: most of what is seen is passed over, liked or not.
_IMPRESSION_TRIALS = 0.2
_REJECTION_TRIALS = 2.0


class Arms:
    """Thompson sampling over arms that own items, fed with every event on one of their items; thread-safe.

    A positive event is a reward of its weight, a negative one a failure that counts more than once, an impression a
    fifth of a failure. The state is a sum, so the same events in any order give the same one.
    """

    def __init__(self, policy: ThompsonSampling | None = None) -> None:
        """Args: policy: with its prior and its floor."""
        self._policy = policy or ThompsonSampling()
        self._state: ThompsonState = self._policy.start()
        self._owners: dict[str, str] = {}
        self._lock = threading.Lock()

    def own(self, item_id: str, arm: str) -> None:
        """Let what happens to an item count for the arm of this id."""
        with self._lock:
            self._owners[item_id] = arm

    def owns(self, item_id: str) -> bool:
        """Did an arm make this item?"""
        return item_id in self._owners

    def learn(self, item_ids: Sequence[str], weights: Iterable[float]) -> None:
        """Take in events; those on items that no arm made are left out."""
        with self._lock:
            if not self._owners:
                return
            feedback = [
                _feedback(arm, weight)
                for item_id, weight in zip(item_ids, weights, strict=True)
                if (arm := self._owners.get(item_id)) is not None
            ]
            if feedback:
                self._state = self._policy.learn(self._state, feedback)

    def choose(self, arms: Sequence[GenerationArm], seed: int) -> tuple[GenerationArm, float]:
        """An arm, and the probability with which it was chosen."""
        with self._lock:
            state = self._state
        choice = choose(self._policy, state, [Arm(arm.id) for arm in arms], seed)
        return arms[choice.row], choice.propensity

    def liked(self, item_id: str) -> float:
        """Mean reward of what an item's arm made, in [0, 1]; 0 while nothing is known."""
        with self._lock:
            good, bad = self._state.counts.get(self._owners.get(item_id, ""), (0, 0))
        return good / (good + bad) if good + bad else 0.0

    def state(self) -> ThompsonState:
        """What was learned so far."""
        with self._lock:
            return self._state

    def counts(self) -> Mapping[str, tuple[int, int]]:
        """Arm's id → (successes, failures) in millionths."""
        with self._lock:
            return dict(self._state.counts)


def _feedback(arm: str, weight: float) -> Feedback:
    if weight > 0:
        return Feedback(arm, min(1.0, weight))
    return Feedback(arm, 0.0, trials=_IMPRESSION_TRIALS if weight == 0 else 1.0 + _REJECTION_TRIALS * -weight)
