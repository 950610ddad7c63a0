"""What the Python peers compute: EASE (Steck 2019) fitted with scipy, answered with numpy.

Two ways to answer, both common: the dense matrix's rows of the user's history added up, and the same with the 200
largest entries a row kept, which adds a hundredth as much.
"""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
from scipy import linalg, sparse

REG = 250.0
NEIGHBOURS = 200
MAX_ITEMS = 5000


def fit(ratings: Path, model: Path) -> None:
    """Learn from a ``ratings.csv`` and write one ``.npz``: the users' histories and the weights both ways.

    The options are those of our own EASE: ratings above 2.75 count by their distance from it, L2 weight 250, and the
    5,000 items with most users take part.
    """
    with ratings.open(newline="") as file:
        rows = list(csv.reader(file))[1:]
    users, u = np.unique([r[0] for r in rows], return_inverse=True)
    items, i = np.unique([r[1] for r in rows], return_inverse=True)
    worth = np.clip((np.array([float(r[2]) for r in rows]) - 2.75) / 2.25, 0.0, 1.0).astype(np.float32)
    seen = sparse.csr_matrix((np.ones(len(rows), np.float32), (u, i)), (len(users), len(items)))
    liked = sparse.csr_matrix((worth, (u, i)), seen.shape)
    liked.eliminate_zeros()
    chosen = np.sort(np.argsort(-np.bincount(liked.indices, minlength=len(items)), kind="stable")[:MAX_ITEMS])
    x = liked[:, chosen]
    gram = (x.T @ x).toarray()
    gram[np.diag_indices_from(gram)] += REG
    inverse = linalg.inv(gram, overwrite_a=True, check_finite=False)
    weights = (inverse / -np.diag(inverse)).astype(np.float32)
    np.fill_diagonal(weights, 0.0)
    best = np.argpartition(-weights, NEIGHBOURS, axis=1)[:, :NEIGHBOURS]
    begun = model.with_name("begun.npz")
    np.savez(
        begun,
        users=users,
        items=items,
        chosen=chosen,
        weights=weights,
        best=best,
        best_weights=np.take_along_axis(weights, best, 1),
        seen_offsets=seen.indptr,
        seen=seen.indices,
        liked_offsets=x.indptr,
        liked=x.indices,
        worth=x.data,
    )
    begun.rename(model)


class NumpyModel:
    """The fitted model in memory."""

    def __init__(self, path: Path, *, lists: bool = True) -> None:
        data = np.load(path)
        self._rows = {user: row for row, user in enumerate(data["users"].tolist())}
        chosen = data["chosen"]
        self._n = len(chosen)
        self._items = data["items"][chosen].tolist()
        self._lists = lists
        place = np.full(len(data["items"]), -1)
        place[chosen] = np.arange(self._n)
        seen = np.split(place[data["seen"]], data["seen_offsets"][1:-1])
        self._seen = [of_user[of_user >= 0] for of_user in seen]
        liked, worth = (np.split(data[name], data["liked_offsets"][1:-1]) for name in ("liked", "worth"))
        self._history = list(zip(liked, worth, strict=True))
        if lists:
            self._best = data["best"]  # (items, 200) int64
            self._best_weights = data["best_weights"]  # (items, 200) float32
        else:
            self._weights = data["weights"]  # (items, items) float32

    def recommend(self, user: str, n: int) -> tuple[list[str], list[float]]:
        """Ids and scores of ``n`` items that the user has not rated, best first."""
        row = self._rows[user]
        history, worth = self._history[row]
        if self._lists:
            scores = np.bincount(
                self._best[history].ravel(), (self._best_weights[history] * worth[:, None]).ravel(), self._n
            )
        else:
            scores = worth @ self._weights[history]
        scores[self._seen[row]] = -np.inf
        best = np.argpartition(-scores, n)[:n]
        best = best[np.argsort(-scores[best])]
        return [self._items[i] for i in best], scores[best].tolist()
