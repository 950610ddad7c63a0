"""MMR of 200 candidates to 20 at 64 dimensions against an incremental numpy."""

from __future__ import annotations

from measure import compare, one_core

one_core()

import numpy as np  # noqa: E402

from aigc.kernel import mmr  # noqa: E402

rng = np.random.default_rng(0)
embeddings = rng.normal(size=(200, 64)).astype(np.float32)
embeddings /= np.linalg.norm(embeddings, axis=1, keepdims=True)
relevance = rng.random(200).astype(np.float32)


def numpy_mmr(n: int, diversity: float) -> list[int]:
    """Keeps the largest cosine so far, so that each round is one matrix–vector product."""
    weighted = (1 - diversity) * relevance
    closest = np.zeros(len(relevance), np.float32)
    taken = np.zeros(len(relevance), np.float32)
    chosen: list[int] = []
    for step in range(n):
        best = int(np.argmax(weighted - diversity * closest + taken))
        chosen.append(best)
        taken[best] = -np.inf
        cosines = embeddings @ embeddings[best]
        closest = cosines if step == 0 else np.maximum(closest, cosines)
    return chosen


assert mmr(relevance, embeddings, 20, 0.3).tolist() == numpy_mmr(20, 0.3)
compare(
    "MMR 200 → 20, d = 64",
    lambda: mmr(relevance, embeddings, 20, 0.3),
    {"numpy, incremental": lambda: numpy_mmr(20, 0.3)},
    20,
    loops=200,
)
