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
_LEAST_NEARNESS = 0.05
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
    near = np.minimum(1, near / _own_nearness(profile, serving))
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


def _own_nearness(profile: Profile, serving: Serving) -> float:
    """How near what a user likes lies to the rest of the same taste: the mean cosine, each item left out in turn.

    What "near" means depends on the encoder and the content: pictures of one digit lie at 0.6 of each other, captioned
    pictures of one group at 0.3. In these terms 1 is as near as what the user likes already. At least 0.05; 1 where no
    taste has two items.
    """
    found: list[float] = []
    for taste in profile.tastes:
        rows = serving.embeddings(taste.item_ids).astype(np.float64)
        if len(rows) < 2:
            continue
        others = rows.sum(axis=0) - rows
        norms = np.linalg.norm(others, axis=1) * np.linalg.norm(rows, axis=1)
        found += ((rows * others).sum(axis=1) / np.maximum(norms, 1e-9)).tolist()
    return max(_LEAST_NEARNESS, float(np.mean(found))) if found else 1.0


def taste_vectors(profile: Profile, serving: Serving) -> NDArray[np.float32]:
    """(tastes, embedding_size) float32, unit rows: the mean of each taste's items that are in service."""
    found = []
    for taste in profile.tastes:
        mean = serving.embeddings(taste.item_ids).mean(axis=0)
        norm = float(np.linalg.norm(mean))
        if norm > 1e-6:
            found.append(mean / norm)
    return np.array(found, np.float32).reshape(len(found), serving.state.embedding_size)
