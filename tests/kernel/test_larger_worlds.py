"""Where there are more candidates than a source takes, the best are found without looking at all of them."""

from __future__ import annotations

import numpy as np
import pytest

from aigc.entities import Item
from aigc.kernel import Engine, Plan, Query, Source
from tests.kernel.reference import Ask, Recipe, recommend
from tests.kernel.world import World


def larger_world(n: int, hidden: float, seed: int) -> World:
    """The first 300 items have neighbours among themselves, and users who liked some of them."""
    rng = np.random.default_rng(seed)
    away = rng.random(n) < hidden
    items = [Item(f"i{row}", hidden=bool(away[row]), created_ms=row) for row in range(n)]
    histories = {
        f"u{u}": [(int(row), 1.0, 100 + t) for t, row in enumerate(rng.choice(300, 25, replace=False))]
        for u in range(30)
    }
    similar = {}
    for row in range(300):
        near = rng.choice(300, 40, replace=False)
        found = [(int(j), round(float(w), 3)) for j, w in zip(near, rng.random(40), strict=True) if j != row]
        similar[row] = sorted(found, key=lambda e: (-e[1], e[0]))
    return World(items, histories, similar)


@pytest.mark.parametrize(("n", "hidden"), [(300, 0.0), (300, 0.05), (300, 0.6), (66_000, 0.3)])
@pytest.mark.parametrize("calibration", ["max", "rank"])
def test_a_short_list_holds_the_best_of_all(simd: str, n: int, hidden: float, calibration: str) -> None:
    world = larger_world(n, hidden, seed=n)
    engine = Engine()
    engine.publish(world.state())
    mix = [Recipe("item_item", 1.0, limit=20), Recipe("user_user", 0.5, limit=12)]
    plan = Plan(
        sources=[
            Source(kind=r.kind, name="item_knn" if r.kind == "item_item" else r.kind, weight=r.weight, limit=r.limit)
            for r in mix
        ],
        calibration=calibration,
        user_neighbours=10,
    )
    for seen in (True, False):
        for user in ("u0", "u7", "u29"):
            results = engine.recommend([Query(now_ms=1, user_id=user, n=15, exclude_seen=seen)], plan)
            wanted = recommend(world, Ask(user, n=15, exclude_seen=seen), mix, calibration, 10)
            assert results.counts[0] == len(wanted) == 15
            np.testing.assert_allclose(results.scores[0], [score for _, score in wanted], atol=2e-4)
