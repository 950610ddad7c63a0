"""Movies without a single event, recommended by content: with the collaborative head, without, and at random.

A tenth of ml-latest-small's movies lose all their events; each user's answer is ranked among those. NDCG@10 with the
ratings of 4 and more as relevant, five seeds, and a paired t-test over the users of all seeds.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import sparse, stats

from aigc.collect.movielens import MovieLens
from aigc.collect.rejects import Rejects
from aigc.features.collaborative import CollaborativeEncoder
from aigc.features.registry import fit_encoder
from aigc.profiles.weights import EventWeights

DATA = Path(__file__).resolve().parents[2] / "shared" / "data" / "ml-latest-small"
SEEDS, K = 5, 10


def ndcg(scores: NDArray[np.float64], relevant: NDArray[np.float64]) -> NDArray[np.float64]:
    discount = 1 / np.log2(np.arange(2, K + 2))
    best = np.argsort(-scores, axis=1, kind="stable")[:, :K]
    gain = np.take_along_axis(relevant, best, axis=1) @ discount
    ideal = np.array([discount[: min(K, int(n))].sum() for n in relevant.sum(axis=1)])
    return np.asarray(gain / ideal)


def main() -> None:
    if not DATA.is_dir():
        raise SystemExit(f"needs {DATA}")
    found = MovieLens.find(DATA)
    items, events = list(found.read_items(Rejects(None))), list(found.read_events(Rejects(None)))
    rows = {item.id: row for row, item in enumerate(items)}
    user_rows = {u: row for row, u in enumerate(dict.fromkeys(e.user_id for e in events))}
    users = np.array([user_rows[e.user_id] for e in events])
    movies = np.array([rows[e.item_id] for e in events])
    stars = np.array([e.value for e in events], np.float64)
    weights = EventWeights().weigh(["rating"] * len(events), stars).astype(np.float64)
    content = fit_encoder(items, lambda _: iter(()), text_size=128)
    embeddings = content.encode(items)
    shape = (len(user_rows), len(items))
    results: dict[str, list[NDArray[np.float64]]] = {"random": [], "content": [], "content + head": []}
    for seed in range(SEEDS):
        rng = np.random.default_rng(seed)
        cold = np.sort(rng.permutation(len(items))[: len(items) // 10])
        held = np.isin(movies, cold)
        warm = sparse.csr_matrix((weights[~held], (users[~held], movies[~held])), shape=shape)
        liked = warm.maximum(0).tocsr()
        liked.eliminate_zeros()
        wanted = held & (stars >= 4)
        relevant = sparse.csr_matrix((np.ones(wanted.sum()), (users[wanted], movies[wanted])), shape=shape)
        truth = relevant[:, cold].toarray()
        asked = truth.sum(axis=1) > 0
        fitted = CollaborativeEncoder.fit(
            content, embeddings, liked.astype(np.float32), embedding_size=64, weight=0.5, seed=seed
        )
        assert fitted is not None
        for name, space in (("content", embeddings), ("content + head", fitted[1])):
            scores = (warm @ space) @ space[cold].T
            results[name].append(ndcg(scores[asked], truth[asked]))
        results["random"].append(ndcg(rng.random((int(asked.sum()), len(cold))), truth[asked]))
    for name, found_values in results.items():
        means = ", ".join(f"{v.mean():.4f}" for v in found_values)
        print(f"{name:<16} NDCG@10 {np.mean([v.mean() for v in found_values]):.4f}   by seed {means}")
    head = np.concatenate(results["content + head"])
    for peer in ("content", "random"):
        other = np.concatenate(results[peer])
        test = stats.ttest_rel(head, other)
        wins = sum(a.mean() > b.mean() for a, b in zip(results["content + head"], results[peer], strict=True))
        ratio = head.mean() / other.mean()
        print(f"head against {peer}: ratio {ratio:.2f}, in {wins} of {SEEDS} seeds, p {test.pvalue:.1e}")


if __name__ == "__main__":
    main()
