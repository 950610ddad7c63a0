"""Building the item–item top-100 by cosine against implicit and sparse_dot_topn."""

from __future__ import annotations

from measure import compare, one_core

one_core()

import numpy as np  # noqa: E402
from implicit.nearest_neighbours import all_pairs_knn  # noqa: E402
from matrices import movielens, skewed  # noqa: E402
from scipy import sparse  # noqa: E402
from sparse_dot_topn import sp_matmul_topn  # noqa: E402

from aigc.kernel import top_k_similarity  # noqa: E402

K = 100


def run(name: str, matrix: sparse.csr_matrix, runs: int) -> None:
    """Every contestant starts from the column-normalised matrix in the form that it likes best."""
    norms = np.sqrt(np.asarray(matrix.power(2).sum(axis=0)).ravel())
    scaled = matrix @ sparse.diags_array(1 / np.maximum(norms, 1e-12)).astype(np.float32)
    scaled = sparse.csr_matrix(scaled, dtype=np.float32)
    scaled.sort_indices()
    items = sparse.csr_matrix(scaled.T)
    scaled64 = scaled.astype(np.float64)
    offsets, columns, values = scaled.indptr.astype(np.int64), scaled.indices.astype(np.uint32), scaled.data

    def ours() -> object:
        return top_k_similarity(offsets, columns, values, scaled.shape[1], K, 0.0, False)

    # Both peers keep an item's similarity to itself: one more neighbour makes the work equal.
    peers = {
        "implicit all_pairs_knn": lambda: all_pairs_knn(scaled64, K=K + 1, num_threads=1, show_progress=False),
        "sparse_dot_topn": lambda: sp_matmul_topn(items, scaled, top_n=K + 1, sort=True, n_threads=1),
    }
    got_offsets, _, got = ours()  # type: ignore[misc]
    wanted = sparse.csr_matrix(peers["sparse_dot_topn"]())
    for i in range(0, scaled.shape[1], 997):
        row = slice(wanted.indptr[i], wanted.indptr[i + 1])
        near = np.sort(wanted.data[row][wanted.indices[row] != i])[::-1][:K]
        np.testing.assert_allclose(got[got_offsets[i] : got_offsets[i + 1]], near, rtol=1e-3, atol=1e-5)
    compare(f"top-{K} item–item of {name}", ours, peers, 2, runs=runs)


run(*movielens(), runs=5)
run("synthetic 50,000 × 20,000, 40 a user", skewed(50_000, 20_000, 40), runs=3)
