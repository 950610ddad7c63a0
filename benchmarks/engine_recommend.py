"""Engine.recommend with one ItemKNN model against implicit's ItemItemRecommender.recommend, same matrix, same lists."""

from __future__ import annotations

import time

from measure import compare, one_core

one_core()

import numpy as np  # noqa: E402
from implicit.nearest_neighbours import CosineRecommender  # noqa: E402
from matrices import movielens  # noqa: E402
from scipy import sparse  # noqa: E402

from aigc.entities import Item  # noqa: E402
from aigc.kernel import Engine, Plan, Query, Source, State, top_k_similarity  # noqa: E402
from aigc.profiles.interactions import Interactions  # noqa: E402
from aigc.recommend.tables import item_tables, user_tables  # noqa: E402

K, N = 100, 20
name, matrix = movielens()
users, items = matrix.shape
peer = CosineRecommender(K=K + 1, num_threads=1)
peer.fit(matrix, show_progress=False)

interactions = Interactions(
    [f"u{u}" for u in range(users)],
    matrix.indptr.astype(np.int64),
    matrix.indices.astype(np.uint32),
    matrix.data.astype(np.float32),
    np.zeros(matrix.nnz, np.uint32),
    last_seq=0,
    events=matrix.nnz,
)
arrays = item_tables([Item(f"i{i}") for i in range(items)], ["text"], [], np.zeros((items, 1), np.float32))
arrays |= user_tables(interactions, items, history_limit=10_000, item_users_limit=1, popularity_half_life_days=1)
# The peer's own similarities, so that both rank by the same lists.
lists = sparse.csr_matrix(peer.similarity)
lists.setdiag(0)
lists.eliminate_zeros()
offsets, columns, weights = top_k_similarity(
    matrix.indptr.astype(np.int64), matrix.indices.astype(np.uint32), matrix.data, items, K, 0.0, True
)
arrays |= {"model_item_knn_offsets": offsets, "model_item_knn_items": columns, "model_item_knn_weights": weights}
engine = Engine()
engine.publish(State(arrays, models=["item_knn"], kinds=["text"], categories=[], embedding_size=1))
plan = Plan(sources=[Source(kind="item_item", name="item_knn", limit=N)], calibration="none", history_limit=10_000)
now = int(time.time() * 1000)
queries = [Query(now_ms=now, user_id=f"u{u}", n=N) for u in range(users)]
agree = []
for u in range(users):
    mine = engine.recommend([queries[u]], plan)
    ids, _ = peer.recommend(u, matrix[u], N=N)
    agree.append(len(set(mine.rows[0, : mine.counts[0]].tolist()) & set(ids.tolist())) / N)
print(f"{name}: the two agree on {np.mean(agree):.1%} of the top {N} (lists differ at ties of the {K}th neighbour)")

one = iter(np.random.default_rng(0).integers(users, size=1_000_000).tolist())
other = iter(np.random.default_rng(0).integers(users, size=1_000_000).tolist())


def peer_single() -> object:
    u = next(other)
    return peer.recommend(u, matrix[u], N=N)


compare(
    f"one user, {N} items",
    lambda: engine.recommend([queries[next(one)]], plan),
    {"implicit ItemItemRecommender": peer_single},
    10,
    loops=300,
)
batch = np.arange(256)
batch_matrix = matrix[batch]
compare(
    f"256 users in one call, {N} items",
    lambda: engine.recommend(queries[:256], plan),
    {"implicit ItemItemRecommender": lambda: peer.recommend(batch, batch_matrix, N=N)},
    5,
)
