"""The snapshot of nothing: what a new installation serves from until its first training."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from aigc.profiles.interactions import Interactions
from aigc.recommend.tables import item_tables, user_tables

__all__ = ["empty_arrays"]


def empty_arrays() -> dict[str, NDArray[Any]]:
    """Arrays of a snapshot with no item and no user, of ``embedding_size`` 1."""
    nobody = Interactions(
        [],
        np.zeros(1, np.int64),
        np.empty(0, np.uint32),
        np.empty(0, np.float32),
        np.empty(0, np.uint32),
        last_seq=0,
        events=0,
    )
    arrays = item_tables([], [], [], np.empty((0, 1), np.float32))
    return arrays | user_tables(nobody, 0, history_limit=1, item_users_limit=1, popularity_half_life_days=1.0)
