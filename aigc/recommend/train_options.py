"""What is trained when a snapshot is built."""

from __future__ import annotations

import math
from collections.abc import Mapping
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
        text_size: Length of the text block of an embedding, where words make it.
        text_encoder: A model of the data directory that makes the text block, such as ``titles`` or ``titles@3``: a
            BERT, or an encoder from Hugging Face; empty for the words themselves, which serve small catalogues better
            (see docs/results-text.md).
        image_size: Length of the picture block of an embedding.
        sound_size: Length of the sound block of an embedding.
        modality_weights: Of ``text``, ``image`` and ``sound`` in an embedding; those not given are 1. When none is
            given they are learned from what users liked together or, with too little of that, from categories.
        collaborative_size: Length of the behaviour block of an embedding; 0 for none.
        collaborative_weight: Of the behaviour block, in (0, 1); the content has the rest.
        history_limit: Interactions kept a user for scoring; what was seen is kept whole.
        item_users_limit: Users kept an item for finding similar users, the most recent.
        popularity_half_life_days: Days in which an interaction's part in popularity halves, counted from the newest.
        leave_out_bots: Users who behave like programs teach nothing; what they did is stored and served to them all
            the same.
        seed: Of everything random.
    """

    ease: Ease = field(default_factory=Ease)
    item_knn: ItemKnn = field(default_factory=ItemKnn)
    content_k: int = 50
    text_size: int = 128
    text_encoder: str = ""
    image_size: int = 64
    sound_size: int = 64
    modality_weights: Mapping[str, float] = field(default_factory=dict)
    collaborative_size: int = 64
    collaborative_weight: float = 0.5
    history_limit: int = 1000
    item_users_limit: int = 512
    popularity_half_life_days: float = 180.0
    leave_out_bots: bool = True
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse values without a meaning."""
        for name in ("content_k", "text_size", "image_size", "sound_size", "history_limit", "item_users_limit"):
            if getattr(self, name) < 1:
                raise InvalidInputError(
                    f"train.{name} is {getattr(self, name)}; give at least 1", field=f"train.{name}"
                )
        for name, weight in self.modality_weights.items():
            if name not in ("text", "image", "sound") or not 0 < weight < math.inf:
                raise InvalidInputError(
                    f"train.modality_weights.{name} is {weight}; give text, image or sound a number above 0",
                    field=f"train.modality_weights.{name}",
                )
        if self.collaborative_size < 0 or not 0 < self.collaborative_weight < 1:
            raise InvalidInputError(
                f"train.collaborative_size is {self.collaborative_size} and collaborative_weight "
                f"{self.collaborative_weight}; give at least 0, and a number between 0 and 1",
                field="train.collaborative_weight",
            )
        if not self.popularity_half_life_days > 0:
            raise InvalidInputError(
                f"train.popularity_half_life_days is {self.popularity_half_life_days}; give a number above 0",
                field="train.popularity_half_life_days",
            )
