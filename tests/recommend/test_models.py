"""EASE and ItemKNN agree with their formulas written out."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse

from aigc.errors import InvalidInputError
from aigc.recommend.models import Ease, ItemItemLists, ItemKnn
from aigc.recommend.models.item_knn import weigh_interactions


def interactions(seed: int = 0, users: int = 40, items: int = 15) -> sparse.csr_matrix:
    rng = np.random.default_rng(seed)
    return sparse.csr_matrix((rng.random((users, items)) < 0.3).astype(np.float32))


def dense(lists: ItemItemLists, n: int) -> np.ndarray:
    return sparse.csr_matrix((lists.weights, lists.items, lists.offsets), shape=(n, n)).toarray()


def test_ease_is_the_closed_form() -> None:
    x = interactions()
    gram = (x.T @ x).toarray().astype(np.float64) + 7.0 * np.eye(15)
    inverse = np.linalg.inv(gram)
    expected = inverse / -np.diag(inverse)[None, :]
    np.fill_diagonal(expected, 0)
    got = dense(Ease(k=15, reg=7.0).fit(x), 15)
    np.testing.assert_allclose(got, np.maximum(expected, 0), atol=1e-5)


def test_ease_leaves_out_items_beyond_its_size_and_those_nobody_has() -> None:
    x = interactions().tolil()
    x[:, 3] = 0
    lists = Ease(max_items=5).fit(sparse.csr_matrix(x))
    lengths = np.diff(lists.offsets)
    assert lengths[3] == 0
    assert (lengths > 0).sum() <= 5
    assert len(Ease().fit(sparse.csr_matrix((4, 6), dtype=np.float32)).items) == 0


def test_item_knn_is_the_shrunk_cosine() -> None:
    x = interactions()
    norms = np.sqrt(np.asarray(x.power(2).sum(axis=0)).ravel())
    expected = (x.T @ x).toarray() / (np.outer(norms, norms) + 3.0)
    np.fill_diagonal(expected, 0)
    np.testing.assert_allclose(dense(ItemKnn(k=15, shrinkage=3.0).fit(x), 15), expected, rtol=1e-5)


@pytest.mark.parametrize("weighting", ["tfidf", "bm25"])
def test_re_weighting_keeps_the_pattern_and_damps_what_everybody_has(weighting: str) -> None:
    x = interactions().tolil()
    x[:, 0] = 1
    x = sparse.csr_matrix(x)
    weighted = weigh_interactions(x, weighting)  # type: ignore[arg-type]
    assert (weighted.indices == x.indices).all()
    assert (weighted.data > 0).all()
    by_item = [weighted.data[weighted.indices == i].mean() for i in range(15)]
    assert by_item[0] == min(by_item)


def test_equal_data_gives_equal_versions() -> None:
    first, again, other = (ItemKnn(k=5).fit(interactions(s)).version for s in (0, 0, 1))
    assert first == again != other


@pytest.mark.parametrize(
    "make",
    [
        lambda: Ease(reg=0),
        lambda: Ease(k=0),
        lambda: Ease(reg=float("nan")),
        lambda: ItemKnn(k=0),
        lambda: ItemKnn(weighting="x"),  # type: ignore[arg-type]
        lambda: ItemKnn(shrinkage=-1),
    ],
)
def test_values_without_a_meaning_are_refused(make: object) -> None:
    with pytest.raises(InvalidInputError, match="give"):
        make()  # type: ignore[operator]
