"""What the catalogue still has for a user."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from aigc.creation.condition import category_shares
from aigc.creation.decision import Supply
from aigc.entities import Profile
from aigc.recommend.live import Serving
from aigc.recommend.request import RecommendRequest
from aigc.services.recommender import Recommender

__all__ = ["find_supply", "taste_vectors"]

_BEST = 10
_MOST_CATEGORIES = 10


def find_supply(profile: Profile, recommender: Recommender, serving: Serving, enough: int) -> Supply:
    """The best unseen items' nearness, and how many are left of each category the user likes.

    Args:
        profile: The user's.
        recommender: Asked without a trace: nothing of it is logged.
        serving: Knows the embeddings.
        enough: Items of a category that are not counted beyond.
    """
    best = recommender.peek(RecommendRequest(user_id=profile.user_id, n=_BEST * 5, strategy="content"))
    tastes = taste_vectors(profile, serving)
    rows = serving.embeddings([item.item_id for item in best if not item.generated])
    near = (rows @ tastes.T).max(axis=1) if len(rows) and len(tastes) else np.empty(0, np.float32)
    unseen: dict[str, int] = {}
    for category in list(category_shares(profile))[:_MOST_CATEGORIES]:
        request = RecommendRequest(
            user_id=profile.user_id, n=max(1, enough), categories=(category,), strategy="popular"
        )
        unseen[category] = len(recommender.peek(request))
    met = sum(min(a.events, enough) for a in profile.affinities if a.category in unseen)
    left = sum(unseen.values())
    new_share = left / (left + met) if left + met else 0.0
    return Supply(np.sort(near)[::-1][:_BEST].astype(np.float32), unseen, new_share)


def taste_vectors(profile: Profile, serving: Serving) -> NDArray[np.float32]:
    """(tastes, embedding_size) float32, unit rows: the mean of each taste's items that are in service."""
    found = []
    for taste in profile.tastes:
        mean = serving.embeddings(taste.item_ids).mean(axis=0)
        norm = float(np.linalg.norm(mean))
        if norm > 1e-6:
            found.append(mean / norm)
    return np.array(found, np.float32).reshape(len(found), serving.state.embedding_size)
