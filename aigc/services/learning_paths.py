"""What a learner is not ready for, or has done: kept out of a learning strategy's lists."""

from __future__ import annotations

import threading

import numpy as np

from aigc.entities import Item
from aigc.profiles.weights import EventWeights
from aigc.recommend.learning_path import PathRecipe, blocked_items, mastered_items, required_of
from aigc.store.base import Store

__all__ = ["LearningPaths"]


class LearningPaths:
    """Reads new items before each use, and the learner's events; thread-safe."""

    def __init__(self, store: Store, weights: EventWeights) -> None:
        """Args: store: read; weights: of event types."""
        self._store = store
        self._weights = weights
        self._lock = threading.Lock()
        self._revision = 0
        self._attributes: dict[str, dict[str, str]] = {}

    def blocked(self, user_id: str, recipe: PathRecipe) -> list[str]:
        """Ids to leave out of this user's lists."""
        self._refresh()
        stored = [s.event for s in self._store.user_events(user_id)] if user_id else []
        values = np.array([np.nan if e.value is None else e.value for e in stored], np.float64)
        weights = self._weights.weigh([e.type for e in stored], values).tolist()
        mastered = mastered_items([e.item_id for e in stored], weights, recipe.mastery)
        with self._lock:
            required = {
                item_id: wanted
                for item_id, attributes in self._attributes.items()
                if (wanted := required_of(attributes, recipe.attribute))
            }
        return blocked_items(required, mastered)

    def _refresh(self) -> None:
        with self._lock:
            for batch in self._store.iterate_items(since_revision=self._revision, include_deleted=True):
                for revision, entry in batch:
                    self._revision = revision
                    if isinstance(entry, Item):
                        self._attributes.pop(entry.id, None)
                        if entry.attributes:
                            self._attributes[entry.id] = dict(entry.attributes)
                    else:
                        self._attributes.pop(entry, None)
