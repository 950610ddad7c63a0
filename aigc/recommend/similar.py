"""The recipe behind SimilarItems."""

from __future__ import annotations

from aigc.recommend.strategy import SourceRecipe, Strategy

__all__ = ["SIMILAR"]

SIMILAR = Strategy(
    name="similar",
    description="Near one item, by content and by what the same users liked",
    sources=(
        SourceRecipe(kind="item_item", model="content", weight=1.0, limit=500),
        SourceRecipe(kind="item_item", model="item_knn", weight=1.0, limit=500),
        SourceRecipe(kind="item_item", model="ease", weight=0.5, limit=500),
    ),
)
