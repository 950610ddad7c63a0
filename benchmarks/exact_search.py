"""Exact search of 16 queries in 64 k × 128 float32 against faiss.IndexFlatIP."""

from __future__ import annotations

from measure import compare, one_core

one_core()

import faiss  # noqa: E402
import numpy as np  # noqa: E402

from aigc.kernel import exact_search, simd_level  # noqa: E402

faiss.omp_set_num_threads(1)
rng = np.random.default_rng(0)
base = rng.normal(size=(65_536, 128)).astype(np.float32)
base /= np.linalg.norm(base, axis=1, keepdims=True)
index = faiss.IndexFlatIP(128)
index.add(base)
print(f"instruction set: {simd_level()}")
for q in (1, 16, 128):
    queries = rng.normal(size=(q, 128)).astype(np.float32)
    rows, scores = exact_search(base, queries, 10)
    peer_scores, peer_rows = index.search(queries, 10)
    np.testing.assert_allclose(scores, peer_scores, rtol=1e-4)
    assert (rows == peer_rows).mean() > 0.999
    compare(
        f"{q} queries, top 10 of 65,536 × 128",
        lambda queries=queries: exact_search(base, queries, 10),
        {"faiss.IndexFlatIP": lambda queries=queries: index.search(queries, 10)},
        3 if q == 16 else 1,
        loops=3,
    )
