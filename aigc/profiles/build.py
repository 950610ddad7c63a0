"""Events and declarations → profile: a pure function, so that a rebuilt profile equals the running one."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from aigc.entities import CategoryAffinity, Event, Item, Preferences, Profile
from aigc.profiles.weights import EventWeights

__all__ = ["build_profile"]

_DAY_MS = 86_400_000


def build_profile(
    user_id: str,
    events: Sequence[Event],
    items: Mapping[str, Item],
    preferences: Preferences,
    weights: EventWeights,
    embedding: NDArray[np.float32],
    *,
    half_life_days: float = 90.0,
) -> Profile:
    """A user's profile.

    An event's weight halves every ``half_life_days`` before the user's newest event, not before now: a taste fades
    against newer tastes, not against an absence. Each category of an item receives the event's weight divided by the
    number of the item's categories. Declared interests count as one further event of their weight each.

    Args:
        user_id: Whose profile.
        events: The user's events, oldest first.
        items: The items they refer to; events on items that are gone are left out of the affinities.
        preferences: What the user declared.
        weights: What each event type is worth.
        embedding: (embedding_size,) float32, the user's vector as the Engine sees it; empty when there is none.
        half_life_days: Days in which a weight halves.
    """
    mass: dict[str, float] = defaultdict(float)
    count: dict[str, int] = defaultdict(int)
    values = np.array([np.nan if e.value is None else e.value for e in events], np.float64)
    newest = events[-1].time_ms if events else 0
    for event, weight in zip(events, weights.weigh([e.type for e in events], values).tolist(), strict=True):
        item = items.get(event.item_id)
        if item is None or not item.categories:
            continue
        decayed = weight * 0.5 ** ((newest - event.time_ms) / _DAY_MS / half_life_days)
        for category in item.categories:
            mass[category] += decayed / len(item.categories)
            count[category] += 1
    for category, weight in preferences.interests.items():
        mass[category] += weight
    for category in preferences.dislikes:
        mass.pop(category, None)
    positive = {category: weight for category, weight in mass.items() if weight > 0}
    total = sum(positive.values())
    affinities = [CategoryAffinity(c, w / total, count[c]) for c, w in positive.items()]
    affinities.sort(key=lambda a: (-a.weight, a.category))
    return Profile(
        user_id=user_id,
        affinities=tuple(affinities),
        embedding=tuple(float(x) for x in embedding),
        preferences=preferences,
        event_count=len(events),
        first_event_ms=events[0].time_ms if events else 0,
        last_event_ms=newest,
    )
