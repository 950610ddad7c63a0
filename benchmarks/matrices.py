"""The matrices that several benchmarks share."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
from scipy import sparse

__all__ = ["movielens", "skewed"]


def movielens() -> tuple[str, sparse.csr_matrix]:
    """Users × movies of ml-latest-small (all ratings as 1), or a synthetic one of its shape where it is absent."""
    path = Path(__file__).resolve().parents[2] / "shared" / "data" / "ml-latest-small" / "ratings.csv"
    if not path.is_file():
        return "synthetic 671 × 9,066", skewed(671, 9066, 149)
    with path.open(encoding="utf-8") as file:
        rows = [(int(r["userId"]), int(r["movieId"])) for r in csv.DictReader(file)]
    users, items = np.array(rows).T
    _, u = np.unique(users, return_inverse=True)
    _, i = np.unique(items, return_inverse=True)
    matrix = sparse.csr_matrix((np.ones(len(u), np.float32), (u, i)))
    matrix.sort_indices()
    return f"ml-latest-small {matrix.shape[0]:,} × {matrix.shape[1]:,}, {matrix.nnz:,} entries", matrix


def skewed(users: int, items: int, mean: int, seed: int = 0) -> sparse.csr_matrix:
    """A matrix whose items' popularity follows a power law; ``mean`` entries a user before duplicates are merged."""
    rng = np.random.default_rng(seed)
    weights = 1 / np.arange(1, items + 1) ** 0.8
    columns = rng.choice(items, size=users * mean, p=weights / weights.sum())
    matrix = sparse.csr_matrix(
        (np.ones(len(columns), np.float32), (np.repeat(np.arange(users), mean), columns)), shape=(users, items)
    )
    matrix.sum_duplicates()
    matrix.data[:] = 1
    matrix.sort_indices()
    return matrix
