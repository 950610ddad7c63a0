"""What a user does with one list."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from aigc.entities import Event
from aigc.evaluate.simulation.click_model import ClickModel, Mood
from aigc.evaluate.simulation.client import Answer
from aigc.evaluate.simulation.population import Population

__all__ = ["HOUR_MS", "Memory", "Visit", "visit"]

HOUR_MS = 3_600_000
_BORING = 0.2


@dataclass(slots=True)
class Memory:
    """What a user carries from list to list.

    Attributes:
        weariness: (aspects,) float64.
        met: (aspects,) float64: how much of each was seen.
        times: Item → how often it was seen.
    """

    weariness: NDArray[np.float64]
    met: NDArray[np.float64]
    times: Counter[str] = field(default_factory=Counter)

    @classmethod
    def fresh(cls, n_aspects: int) -> Memory:
        """Of a newcomer."""
        return cls(np.zeros(n_aspects), np.zeros(n_aspects))


@dataclass(frozen=True, slots=True)
class Visit:
    """What came of a list.

    Attributes:
        clicked: (n,) bool.
        chances: (n,) float64: the probability that each was clicked.
        liked: (n,) float64: the user's liking of what each shows.
        events: To be told the server.
    """

    clicked: NDArray[np.bool_]
    chances: NDArray[np.float64]
    liked: NDArray[np.float64]
    events: list[Event]


def visit(
    population: Population,
    clicks: ClickModel,
    memory: Memory,
    round_: int,
    user: int,
    answer: Answer,
    shows: NDArray[np.float64],
    start_ms: int,
) -> Visit:
    """Look at a list, click, like, skip, dislike; ``memory`` is changed in place.

    Args:
        population: The users.
        clicks: The ground truth.
        memory: Of this user.
        round_: Which round; below 0 before the first, with the tastes of the first.
        user: Row of the user.
        answer: The list.
        shows: (n, aspects) float64 of its items.
        start_ms: Time of round 0, milliseconds since the epoch.
    """
    n = len(answer.item_ids)
    mood = Mood(
        population.liking[max(0, round_), user], memory.weariness, float(population.curiosity[user]), memory.met
    )
    before = np.array([memory.times[i] for i in answer.item_ids], np.int64)
    attention, chance = clicks.attention(n), clicks.click(mood, shows, before)
    boring = clicks.appeal(mood, shows) < _BORING
    dice = population.chances(round_, user, n)
    seen = dice[:, 0] < attention
    clicked = seen & (dice[:, 1] < chance)
    name = population.user_ids[user]
    events = []
    for place in np.flatnonzero(seen).tolist():
        types = ["impression"]
        if clicked[place]:
            types.append("click")
            if dice[place, 2] < clicks.like_rate:
                types.append("like")
        elif boring[place] and dice[place, 2] < clicks.dislike_rate:
            types.append("dislike")
        elif dice[place, 3] < clicks.skip_rate:
            types.append("skip")
        at = start_ms + round_ * HOUR_MS + user * 100 + 4 * place
        for step, kind in enumerate(types):
            event_id = f"{name}.{round_}.{place}.{kind}"
            item = answer.item_ids[place]
            events.append(Event(event_id, name, item, kind, at + step, recommendation_id=answer.recommendation_id))
        memory.times[answer.item_ids[place]] += 1
    watched = shows[seen].sum(axis=0)
    memory.weariness += population.options.fatigue * watched
    memory.met += watched
    return Visit(clicked, attention * chance, shows @ mood.liking, events)
