"""What is trained when a snapshot is built."""

from __future__ import annotations

from dataclasses import dataclass, field

from aigc.errors import InvalidInputError
from aigc.recommend.models import Ease, ItemKnn

__all__ = ["TrainOptions"]


@dataclass(frozen=True, slots=True)
class TrainOptions:
    """The ``[train]`` settings.

    Attributes:
        ease: The closed-form linear model.
        item_knn: The neighbourhood model.
        content_k: Content neighbours kept an item.
        text_size: Length of the text block of an embedding.
        image_size: Length of the picture block of an embedding.
        history_limit: Interactions kept a user for scoring; what was seen is kept whole.
        item_users_limit: Users kept an item for finding similar users, the most recent.
        popularity_half_life_days: Days in which an interaction's part in popularity halves, counted from the newest.
        seed: Of everything random.
    """

    ease: Ease = field(default_factory=Ease)
    item_knn: ItemKnn = field(default_factory=ItemKnn)
    content_k: int = 50
    text_size: int = 128
    image_size: int = 64
    history_limit: int = 1000
    item_users_limit: int = 512
    popularity_half_life_days: float = 180.0
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse values without a meaning."""
        for name in ("content_k", "text_size", "image_size", "history_limit", "item_users_limit"):
            if getattr(self, name) < 1:
                raise InvalidInputError(
                    f"train.{name} is {getattr(self, name)}; give at least 1", field=f"train.{name}"
                )
        if not self.popularity_half_life_days > 0:
            raise InvalidInputError(
                f"train.popularity_half_life_days is {self.popularity_half_life_days}; give a number above 0",
                field="train.popularity_half_life_days",
            )
