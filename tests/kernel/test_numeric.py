"""The numeric kernels agree with plain numpy at every instruction-set level."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy import sparse

from aigc.kernel import dpp, exact_search, mmr, set_simd_level, top_k_rows, top_k_similarity

quick = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
# Multiples of a power of two: every product and sum is exact, so that ties are ties at every level.
exact = st.integers(-4, 4).map(lambda x: x / 4)


def grid(rng_seed: int, n: int, d: int) -> np.ndarray:
    return (np.random.default_rng(rng_seed).integers(-4, 5, (n, d)) / 4).astype(np.float32)


@quick
@given(
    seed=st.integers(0, 10_000),
    n=st.integers(0, 70),
    d=st.sampled_from([1, 3, 8, 16, 17, 33]),
    q=st.integers(0, 35),
    k=st.integers(0, 90),
)
def test_exact_search_gives_what_a_sort_gives(simd: str, seed: int, n: int, d: int, q: int, k: int) -> None:
    base, queries = grid(seed, n, d), grid(seed + 1, q, d)
    rows, scores = exact_search(base, queries, k)
    assert rows.shape == scores.shape == (q, k)
    products = queries @ base.T
    for i in range(q):
        order = np.lexsort((np.arange(n), -products[i]))[:k]
        assert rows[i, : len(order)].tolist() == order.tolist()
        np.testing.assert_array_equal(scores[i, : len(order)], products[i, order])
        assert (rows[i, len(order) :] == -1).all()
        assert np.isneginf(scores[i, len(order) :]).all()


@quick
@given(
    seed=st.integers(0, 10_000),
    users=st.integers(0, 25),
    items=st.integers(1, 40),
    density=st.floats(0, 0.6),
    k=st.integers(0, 45),
    shrinkage=st.sampled_from([0.0, 1.0, 10.0]),
    normalise=st.booleans(),
)
def test_similarity_lists_are_the_top_of_the_full_matrix(
    simd: str, seed: int, users: int, items: int, density: float, k: int, shrinkage: float, normalise: bool
) -> None:
    rng = np.random.default_rng(seed)
    dense = (rng.random((users, items)) < density) * rng.integers(1, 5, (users, items)) / 4
    x = sparse.csr_matrix(dense.astype(np.float32))
    offsets, neighbours, weights = top_k_similarity(
        x.indptr.astype(np.int64),
        x.indices.astype(np.uint32),
        x.data.astype(np.float32),
        items,
        k,
        shrinkage,
        normalise,
    )
    gram = dense.T @ dense
    if normalise:
        norms = np.sqrt(np.diag(gram))
        below = np.outer(norms, norms) + shrinkage
        gram = np.divide(gram, below, out=np.zeros_like(gram), where=below > 0)
    np.fill_diagonal(gram, 0)
    for i in range(items):
        found, got = neighbours[offsets[i] : offsets[i + 1]], weights[offsets[i] : offsets[i + 1]]
        expected = min(k, int((gram[i] > 0).sum()))
        assert len(found) == expected
        assert len(set(found.tolist())) == expected
        assert i not in found.tolist()
        np.testing.assert_allclose(got, np.sort(gram[i])[::-1][:expected], rtol=1e-5)
        np.testing.assert_allclose(got, gram[i, found], rtol=1e-5)
        same = got[1:] == got[:-1]
        assert (found[1:][same] > found[:-1][same]).all(), "equal weights stand by row"


def test_a_wide_sparse_matrix_takes_the_same_road_as_a_dense_one(simd: str) -> None:
    rng = np.random.default_rng(3)
    x = sparse.random(300, 4000, density=0.002, format="csr", rng=rng, dtype=np.float32)
    x.sort_indices()
    offsets, _, weights = top_k_similarity(
        x.indptr.astype(np.int64), x.indices.astype(np.uint32), x.data, 4000, 5, 0.0, False
    )
    gram = (x.T @ x).toarray()
    np.fill_diagonal(gram, 0)
    for i in range(4000):
        got = weights[offsets[i] : offsets[i + 1]]
        np.testing.assert_allclose(got, np.sort(gram[i][gram[i] > 0])[::-1][:5], rtol=1e-5)


@pytest.mark.parametrize("columns", [[1, 0], [1, 1], [0, 7]])
def test_a_malformed_matrix_is_refused(columns: list[int]) -> None:
    with pytest.raises(ValueError, match="columns"):
        top_k_similarity(np.array([0, 2]), np.array(columns, np.uint32), np.ones(2, np.float32), 3, 2, 0.0, True)


@quick
@given(seed=st.integers(0, 1000), n=st.integers(1, 30), k=st.integers(0, 40))
def test_top_k_rows_leaves_out_the_diagonal_and_what_is_not_above_zero(seed: int, n: int, k: int) -> None:
    matrix = grid(seed, n, n)
    offsets, rows, weights = top_k_rows(matrix, k)
    np.fill_diagonal(matrix, 0)
    for i in range(n):
        order = [j for j in np.lexsort((np.arange(n), -matrix[i])) if matrix[i, j] > 0][:k]
        assert rows[offsets[i] : offsets[i + 1]].tolist() == order
        assert weights[offsets[i] : offsets[i + 1]].tolist() == matrix[i, order].tolist()


def unit_rows(rng: np.random.Generator, count: int, d: int) -> np.ndarray:
    rows = rng.normal(size=(count, d))
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    rows[rng.random(count) < 0.2] = 0
    return rows.astype(np.float32)


def plain_mmr(relevance: np.ndarray, embeddings: np.ndarray, n: int, diversity: float) -> list[int]:
    chosen: list[int] = []
    similarity = embeddings.astype(np.float64) @ embeddings.T.astype(np.float64)
    while len(chosen) < min(n, len(relevance)):
        penalty = similarity[:, chosen].max(axis=1) if chosen else np.zeros(len(relevance))
        value = (1 - diversity) * relevance - diversity * penalty
        value[chosen] = -np.inf
        chosen.append(int(np.argmax(value)))
    return chosen


@quick
@given(
    seed=st.integers(0, 10_000),
    count=st.integers(0, 40),
    d=st.sampled_from([1, 7, 16, 40]),
    n=st.integers(0, 45),
    diversity=st.sampled_from([0.0, 0.1, 0.5, 0.9, 1.0]),
)
def test_mmr_chooses_as_the_formula_says(simd: str, seed: int, count: int, d: int, n: int, diversity: float) -> None:
    rng = np.random.default_rng(seed)
    embeddings, relevance = unit_rows(rng, count, d), rng.random(count).astype(np.float32)
    got = mmr(relevance, embeddings, n, diversity).tolist()
    assert len(set(got)) == len(got) == min(n, count)
    # Rounding may swap what is equal but for the last bit: compare the values reached, not the names.
    value, want = (
        objective(relevance, embeddings, o, diversity) for o in (got, plain_mmr(relevance, embeddings, n, diversity))
    )
    np.testing.assert_allclose(value, want, atol=1e-4)


def objective(relevance: np.ndarray, embeddings: np.ndarray, order: list[int], diversity: float) -> list[float]:
    similarity = embeddings @ embeddings.T
    return [
        float((1 - diversity) * relevance[j] - diversity * (max(similarity[j, order[:i]]) if i else 0))
        for i, j in enumerate(order)
    ]


@quick
@given(
    seed=st.integers(0, 10_000),
    count=st.integers(1, 14),
    n=st.integers(1, 6),
    diversity=st.sampled_from([0.2, 0.5, 1.0]),
)
def test_dpp_takes_the_largest_determinant_at_each_step(
    simd: str, seed: int, count: int, n: int, diversity: float
) -> None:
    rng = np.random.default_rng(seed)
    embeddings = rng.normal(size=(count, 24))
    embeddings = (embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)).astype(np.float32)
    relevance = rng.random(count).astype(np.float32)
    quality = np.exp(4 * (1 - diversity) / max(diversity, 1e-3) * relevance.astype(np.float64))
    kernel = quality[:, None] * (embeddings.astype(np.float64) @ embeddings.T) * quality
    order = dpp(relevance, embeddings, n, diversity).tolist()
    assert len(set(order)) == len(order) == min(n, count)
    for step in range(len(order)):

        def gain(j: int, step: int = step) -> float:
            taken = [*order[:step], j]
            return float(np.linalg.slogdet(kernel[np.ix_(taken, taken)])[1])

        best = max(gain(j) for j in range(count) if j not in order[:step])
        assert gain(order[step]) == pytest.approx(best, abs=1e-4)


def test_dpp_without_diversity_orders_by_relevance() -> None:
    relevance = np.array([0.1, 0.9, 0.9, 0.4], np.float32)
    assert dpp(relevance, np.eye(4, dtype=np.float32), 4, 0.0).tolist() == [1, 2, 3, 0]


def test_dpp_goes_on_by_relevance_when_everything_is_the_same() -> None:
    relevance = np.array([0.1, 0.9, 0.5], np.float32)
    embeddings = np.tile(np.array([[1, 0]], np.float32), (3, 1))
    assert dpp(relevance, embeddings, 3, 0.5).tolist() == [1, 2, 0]


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_numbers_that_are_not_finite_are_refused(bad: float) -> None:
    vector = np.array([[0, bad]], np.float32)
    good = np.zeros((1, 2), np.float32)
    with pytest.raises(ValueError, match="queries holds a number that is not finite"):
        exact_search(good, vector, 1)
    with pytest.raises(ValueError, match="embeddings"):
        mmr(np.zeros(1, np.float32), vector, 1, 0.5)
    with pytest.raises(ValueError, match="relevance"):
        dpp(vector[0], np.zeros((2, 2), np.float32), 1, 0.5)
    with pytest.raises(ValueError, match="values"):
        top_k_similarity(np.array([0, 1]), np.zeros(1, np.uint32), np.array([bad], np.float32), 1, 1, 0.0, True)


def test_wrong_dtypes_shapes_and_levels_are_named() -> None:
    with pytest.raises(ValueError, match="base is of dtype float64, expected float32"):
        exact_search(np.zeros((1, 2)), np.zeros((1, 2), np.float32), 1)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="queries have 3 dimensions, base has 2"):
        exact_search(np.zeros((1, 2), np.float32), np.zeros((1, 3), np.float32), 1)
    with pytest.raises(ValueError, match="not contiguous"):
        exact_search(np.zeros((2, 4), np.float32)[:, ::2], np.zeros((1, 2), np.float32), 1)
    with pytest.raises(ValueError, match="SIMD level 'mmx' is not available"):
        set_simd_level("mmx")
