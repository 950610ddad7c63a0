"""What modalities weigh is learned from items that belong together."""

from __future__ import annotations

import numpy as np
from scipy import sparse

from aigc.entities import Item
from aigc.features.blend_weights import learn_weights
from aigc.features.saved import unit_rows

N = 600


def world(rng: np.random.Generator) -> tuple[list[np.ndarray], np.ndarray]:
    """A block that knows the group of each item, one that knows nothing of it, and the groups."""
    groups = rng.integers(0, 10, N)
    telling = unit_rows(rng.normal(size=(10, 16))[groups] + 0.7 * rng.normal(size=(N, 16)))
    return [telling, unit_rows(rng.normal(size=(N, 16)))], groups


def test_what_tells_of_behaviour_weighs_more_than_what_does_not() -> None:
    rng = np.random.default_rng(0)
    blocks, groups = world(rng)
    liked = np.array([(groups == user % 10) & (rng.random(N) < 0.4) for user in range(200)])
    items = [Item(str(n), categories=(str(n % 2),)) for n in range(N)]
    learned = learn_weights(blocks, items, sparse.csr_matrix(liked.astype(np.float32)))
    assert learned is not None
    assert learned.source == "behaviour"
    assert learned.weights[0] > 4 * learned.weights[1] > 0
    assert abs(sum(learned.weights) - 2) < 1e-9


def test_without_behaviour_categories_teach_the_weights() -> None:
    blocks, groups = world(np.random.default_rng(0))
    items = [Item(str(n), categories=(str(group),)) for n, group in enumerate(groups)]
    nobody = sparse.csr_matrix((0, N), dtype=np.float32)
    learned = learn_weights(blocks, items, nobody)
    assert learned is not None
    assert learned.source == "categories"
    assert learned == learn_weights(blocks, items, nobody)
    assert learn_weights(blocks, [Item(str(n)) for n in range(N)], nobody) is None


def test_weights_that_explain_nothing_are_not_taken() -> None:
    rng = np.random.default_rng(3)
    blocks = [unit_rows(rng.normal(size=(N, 16))) for _ in range(2)]
    items = [Item(str(n), categories=(str(n % 3),)) for n in range(N)]
    assert learn_weights(blocks, items, sparse.csr_matrix((0, N), dtype=np.float32)) is None
