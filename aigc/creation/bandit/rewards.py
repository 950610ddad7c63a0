"""From what was shown and what happened then to feedback: impressions, clicks and rejections by the event weights."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from aigc.creation.bandit.arm import Feedback
from aigc.entities import Event
from aigc.errors import InvalidInputError
from aigc.profiles.weights import EventWeights

__all__ = ["RewardOptions", "Shown", "feedback_of", "reward_of"]


@dataclass(frozen=True, slots=True)
class Shown:
    """One choice that was put before a user; logged with the answer.

    Attributes:
        recommendation_id: The answer it stood in.
        user_id: Who saw it.
        item_id: What was seen.
        arm: The arm that it came from: the item's own id, or a generator's and its condition.
        time_ms: When, milliseconds since the epoch.
        propensity: Of the choice.
        features: The arm's, then.
    """

    recommendation_id: str
    user_id: str
    item_id: str
    arm: str
    time_ms: int
    propensity: float
    features: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class RewardOptions:
    """How events become rewards.

    Attributes:
        window_ms: How long after being shown an event counts; a choice is learned from when the window has passed.
        rejection_trials: How many further trials without success the strongest rejection (weight -1) counts as.
    """

    window_ms: int = 3_600_000
    rejection_trials: float = 2.0

    def __post_init__(self) -> None:
        """Refuse values without a meaning."""
        if self.window_ms < 1:
            raise InvalidInputError(f"window_ms is {self.window_ms}; give at least 1", field="window_ms")
        if not 0 <= self.rejection_trials < 1000:
            raise InvalidInputError(
                f"rejection_trials is {self.rejection_trials}; give a number from 0 to 999", field="rejection_trials"
            )


def feedback_of(
    shown: Iterable[Shown],
    events: Iterable[Event],
    weights: EventWeights,
    until_ms: int,
    options: RewardOptions | None = None,
) -> list[Feedback]:
    """Feedback on each choice that was seen and whose window has passed, by the time it was shown.

    The reward is the weight of the strongest positive event on the item that quotes the answer, or that names no
    answer and is by the same user within the window; 0 where there was none. A rejection (a negative weight and no
    positive event) is a reward of 0 that counts as more than one trial. What has no event at all, not even an
    impression, was not seen and teaches nothing.

    Args:
        shown: Choices, in any order.
        events: In any order; those of unknown types are left out.
        weights: Event type → weight.
        until_ms: Now.
        options: See :class:`RewardOptions`.
    """
    options = options or RewardOptions()
    by_answer: dict[tuple[str, str, str], list[Event]] = defaultdict(list)
    for event in events:
        if event.type in weights.by_type:
            by_answer[event.recommendation_id, event.user_id, event.item_id].append(event)
    found = []
    for choice in sorted(shown, key=lambda s: (s.time_ms, s.recommendation_id, s.item_id)):
        end = choice.time_ms + options.window_ms
        if end > until_ms:
            continue
        places = {choice.recommendation_id, ""}
        matched = [
            event
            for place in sorted(places)
            for event in by_answer.get((place, choice.user_id, choice.item_id), ())
            if choice.time_ms <= event.time_ms <= end
        ]
        if matched:
            reward, trials = reward_of(*_weigh(matched, weights), options)
            found.append(Feedback(choice.arm, reward, choice.features, trials))
    return found


def reward_of(best: float, worst: float, options: RewardOptions) -> tuple[float, float]:
    """The reward in [0, 1] and its trials, from the largest and the smallest weight of what happened to one choice."""
    trials = 1.0 + options.rejection_trials * max(0.0, -worst) if best <= 0 else 1.0
    return min(1.0, max(0.0, best)), trials


def _weigh(events: Sequence[Event], weights: EventWeights) -> tuple[float, float]:
    values = np.array([np.nan if e.value is None else e.value for e in events], np.float64)
    weighed = weights.weigh([e.type for e in events], values)
    return float(weighed.max()), float(weighed.min())
