"""Profiles: what a user's behaviour and declarations say of them."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import fields, replace

import numpy as np

from aigc.entities import Preferences, Profile
from aigc.errors import InvalidInputError
from aigc.prepare.sentiment import sentiment
from aigc.profiles.build import ProfileModels, build_profile
from aigc.profiles.weights import EventWeights
from aigc.recommend.live import Live
from aigc.services.limits import Limits
from aigc.store.base import Store

__all__ = ["Profiles"]

_MUTABLE = tuple(f.name for f in fields(Preferences) if f.name != "user_id")


class Profiles:
    """Reads profiles and writes declarations."""

    def __init__(self, store: Store, live: Live, weights: EventWeights, limits: Limits) -> None:
        """Args: store: the truth; live: what serves; weights: of event types; limits: what a call may hold."""
        self._store = store
        self._live = live
        self._weights = weights
        self._limits = limits
        self._write_lock = threading.Lock()

    def get(self, user_id: str) -> Profile:
        """The profile now; an unknown user's is empty, since a stranger is no error."""
        self._limits.check_id(user_id, "user_id")
        events = [stored.event for stored in self._store.user_events(user_id)]
        ids = list({event.item_id for event in events})
        items = self._store.get_items(ids) if ids else {}
        vectors, present = self._live.engine.user_vectors([user_id])
        embedding = vectors[0] if present[0] else np.empty(0, np.float32)
        serving = self._live.serving
        models = ProfileModels(
            lambda wanted: serving.embeddings(wanted), serving.topics, sentiment if serving.topics else None
        )
        return build_profile(user_id, events, items, self._preferences(user_id), self._weights, embedding, models)

    def update_preferences(self, preferences: Preferences, mask: Sequence[str]) -> Preferences:
        """Replace the declarations named in ``mask`` (all of them for ``*``), and give them as they are now.

        Raises:
            InvalidInputError: The mask is empty or names no declaration, or a value is wrong.
        """
        self._check(preferences)
        if not mask:
            raise InvalidInputError(
                f"update_mask is empty; name at least one of {', '.join(_MUTABLE)}, or *", field="update_mask"
            )
        names = list(_MUTABLE) if list(mask) == ["*"] else list(mask)
        for name in names:
            if name not in _MUTABLE:
                raise InvalidInputError(
                    f"update_mask names {name!r}; the declarations are {', '.join(_MUTABLE)}", field="update_mask"
                )
        with self._write_lock:
            old = self._preferences(preferences.user_id)
            new = replace(old, **{name: getattr(preferences, name) for name in names})
            self._store.put_preferences(new)
            self._live.apply_preferences(new)
        return new

    def _preferences(self, user_id: str) -> Preferences:
        return self._store.get_preferences(user_id) or Preferences(user_id)

    def _check(self, preferences: Preferences) -> None:
        limits = self._limits
        limits.check_id(preferences.user_id, "preferences.user_id")
        limits.check_count(preferences.interests, "preferences.interests")
        for category, weight in preferences.interests.items():
            limits.check_id(category, "preferences.interests")
            if not 0 < weight <= 1:
                raise InvalidInputError(
                    f"preferences.interests[{category}] is {weight}; give a number above 0, up to 1",
                    field="preferences.interests",
                )
        limits.check_names(preferences.dislikes, "preferences.dislikes")
