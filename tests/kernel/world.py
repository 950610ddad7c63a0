"""Small worlds for the Engine: python lists → the arrays of a snapshot."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from aigc.entities import Item
from aigc.kernel import State
from aigc.profiles.interactions import Interactions
from aigc.recommend.tables import item_tables, user_tables


@dataclass
class World:
    """What the Engine and the reference are both built from.

    Attributes:
        items: In order of their rows.
        histories: User id → (row, weight, time in seconds), oldest first.
        similar: Row → [(row, weight)], heaviest first, ties by row: the model "item_knn".
    """

    items: list[Item]
    histories: dict[str, list[tuple[int, float, int]]]
    similar: dict[int, list[tuple[int, float]]] = field(default_factory=dict)

    @property
    def kinds(self) -> list[str]:
        return sorted({i.kind for i in self.items})

    @property
    def categories(self) -> list[str]:
        return sorted({c for i in self.items for c in i.categories})

    def interactions(self) -> Interactions:
        rows = [event for history in self.histories.values() for event in history]
        offsets = np.cumsum([0, *(len(h) for h in self.histories.values())], dtype=np.int64)
        return Interactions(
            list(self.histories),
            offsets,
            np.array([r for r, _, _ in rows], np.uint32),
            np.array([w for _, w, _ in rows], np.float32),
            np.array([t for _, _, t in rows], np.uint32),
            last_seq=len(rows),
            events=len(rows),
        )

    def arrays(self) -> dict[str, np.ndarray]:
        n = len(self.items)
        arrays = item_tables(self.items, self.kinds, self.categories, np.zeros((n, 1), np.float32))
        arrays |= user_tables(
            self.interactions(), n, history_limit=1000, item_users_limit=1000, popularity_half_life_days=1e9
        )
        lists: Sequence[list[tuple[int, float]]] = [self.similar.get(row, []) for row in range(n)]
        arrays["model_item_knn_offsets"] = np.cumsum([0, *map(len, lists)], dtype=np.int64)
        arrays["model_item_knn_items"] = np.array([j for entry in lists for j, _ in entry], np.uint32)
        arrays["model_item_knn_weights"] = np.array([w for entry in lists for _, w in entry], np.float32)
        return arrays

    def state(self) -> State:
        return State(self.arrays(), models=["item_knn"], kinds=self.kinds, categories=self.categories, embedding_size=1)
