"""Events and declarations → profile: a pure function, so that a rebuilt profile equals the running one."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from aigc.entities import CategoryAffinity, Event, Item, Preferences, Profile
from aigc.profiles.affinity import LONG_DAYS, affinities, aversions
from aigc.profiles.evidence import Evidence
from aigc.profiles.habits import find_activity
from aigc.profiles.tastes import find_tastes, liked_items
from aigc.profiles.topics import TopicModel, find_topics
from aigc.profiles.weights import EventWeights
from aigc.profiles.words import state

__all__ = ["ProfileModels", "build_profile"]

_NAMES = 20


class ProfileModels:
    """What a profile needs beside the events: all of it comes from one snapshot, or is missing."""

    def __init__(
        self,
        embeddings: Callable[[Sequence[str]], NDArray[np.float32]] | None = None,
        topics: TopicModel | None = None,
        sentiment: Callable[[str], float] | None = None,
    ) -> None:
        """Args: embeddings: of items by id; topics: of texts; sentiment: of a text, in [-1, 1]."""
        self.embeddings = embeddings
        self.topics = topics
        self.sentiment = sentiment or (lambda _: 0.0)


def build_profile(
    user_id: str,
    events: Sequence[Event],
    items: Mapping[str, Item],
    preferences: Preferences,
    weights: EventWeights,
    embedding: NDArray[np.float32],
    models: ProfileModels | None = None,
) -> Profile:
    """A user's profile.

    An event's weight halves every 90 days (7 for what is recent) before the user's newest event, not before now: a
    taste fades against newer tastes, not against an absence. Each category of an item receives the event's weight
    divided by the number of the item's categories. Declared interests count as one further event of their weight each.

    Args:
        user_id: Whose profile.
        events: The user's events, oldest first.
        items: The items they refer to; events on items that are gone are left out of the affinities.
        preferences: What the user declared.
        weights: What each event type is worth.
        embedding: (embedding_size,) float32, the user's vector as the Engine sees it; empty when there is none.
        models: For tastes and topics; without them the profile has none.
    """
    models = models or ProfileModels()
    evidence = Evidence.of(events, items, weights)
    categories = affinities(evidence, lambda item: item.categories)
    tags = affinities(evidence, lambda item: item.tags, limit=_NAMES)
    authors = affinities(evidence, lambda item: (item.author,) if item.author else (), limit=_NAMES)
    liked = liked_items(evidence)
    tastes = find_tastes(evidence, liked, models.embeddings(list(liked))) if models.embeddings and liked else ()
    topics = find_topics(evidence, models.topics, models.sentiment) if models.topics else ()
    activity = find_activity(evidence)
    averse = aversions(evidence)
    return Profile(
        user_id=user_id,
        affinities=_with_declared(evidence, preferences),
        embedding=tuple(float(x) for x in embedding),
        preferences=preferences,
        event_count=len(events),
        first_event_ms=events[0].time_ms if events else 0,
        last_event_ms=events[-1].time_ms if events else 0,
        categories=categories,
        tags=tags,
        authors=authors,
        tastes=tastes,
        activity=activity,
        topics=topics,
        statements=state(evidence, categories, tags, authors, averse, topics, activity, preferences),
    )


def _with_declared(evidence: Evidence, preferences: Preferences) -> tuple[CategoryAffinity, ...]:
    mass: dict[str, float] = defaultdict(float)
    count: dict[str, int] = defaultdict(int)
    for event, weight in zip(evidence.events, evidence.decayed(LONG_DAYS).tolist(), strict=True):
        item = evidence.items.get(event.item_id)
        for category in item.categories if item is not None else ():
            mass[category] += weight / len(item.categories)  # type: ignore[union-attr]
            count[category] += 1
    for category, weight in preferences.interests.items():
        mass[category] += weight
    for category in preferences.dislikes:
        mass.pop(category, None)
    positive = {category: weight for category, weight in mass.items() if weight > 0}
    total = sum(positive.values())
    found = [CategoryAffinity(c, w / total, count[c]) for c, w in positive.items()]
    return tuple(sorted(found, key=lambda a: (-a.weight, a.category)))
