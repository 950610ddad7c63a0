"""What each modality should weigh in an embedding: learned from items that belong together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.optimize import minimize
from scipy.special import logsumexp

from aigc.entities import Item

__all__ = ["LearnedWeights", "learn_weights"]

_MIN_PAIRS, _MAX_PAIRS = 400, 8_000
_OTHERS = 20
_SHARPEST = 100.0
# A modality that tells nothing of the pairs is still searched by.
_LEAST = 0.05


@dataclass(frozen=True, slots=True)
class LearnedWeights:
    """Weights of mean 1, one a block, and where they come from: ``behaviour`` or ``categories``."""

    weights: tuple[float, ...]
    source: str


def learn_weights(
    blocks: Sequence[NDArray[np.float32]], items: Sequence[Item], matrix: sparse.csr_matrix, seed: int = 0
) -> LearnedWeights | None:
    """Weights under which items that belong together are nearest; None where even weights do no worse.

    Pairs are items that one user liked or, where there are fewer than 400 such pairs, items of one category. A softmax
    over the weighted cosines tells an item's partner among the partners of twenty others, so that popularity does not
    count; its likelihood is maximised on half of the pairs (a conditional logit, McFadden 1974), and must beat even
    weights on the other half.

    Args:
        blocks: (n, d) float32 each, unit rows, zeros where an item lacks the modality.
        items: The n items.
        matrix: Users × the n items, positive where liked.
        seed: Of the choice of pairs.
    """
    rng = np.random.default_rng(seed)
    complete = np.all([block.any(axis=1) for block in blocks], axis=0)
    for source, pairs in (
        ("behaviour", _liked_together(matrix, complete, rng)),
        ("categories", _of_one_category(items, complete, rng)),
    ):
        if len(pairs) >= _MIN_PAIRS:
            found = _fit(blocks, pairs, rng)
            return LearnedWeights(found, source) if found is not None else None
    return None


def _fit(
    blocks: Sequence[NDArray[np.float32]], pairs: NDArray[np.int64], rng: np.random.Generator
) -> tuple[float, ...] | None:
    others = pairs[rng.integers(0, len(pairs), (len(pairs), _OTHERS)), 1]
    # (pairs, 1 + others): the partner first; where another is the item or its partner, it is out of the race.
    candidates = np.concatenate([pairs[:, 1:], others], axis=1)
    out = np.zeros(candidates.shape)
    out[:, 1:][(others == pairs[:, :1]) | (others == pairs[:, 1:])] = -np.inf
    cosines = np.stack([np.einsum("pd,pcd->pc", block[pairs[:, 0]], block[candidates]) for block in blocks])
    cosines = cosines.astype(np.float64)
    # By the item asked about, so that none asks on both sides.
    held_out = pairs[:, 0] % 2 == 0
    if min(held_out.sum(), (~held_out).sum()) < _MIN_PAIRS // 4:
        return None

    def loss(
        weights: NDArray[np.float64], half: NDArray[np.bool_], of: NDArray[np.float64]
    ) -> tuple[float, NDArray[np.float64]]:
        scores = np.tensordot(weights, of[:, half], axes=1) + out[half]
        total = logsumexp(scores, axis=1)
        expected = (np.exp(scores - total[:, None])[None] * of[:, half]).sum(axis=2)
        return float((total - scores[:, 0]).mean()), (expected - of[:, half, 0]).mean(axis=1)

    def best(of: NDArray[np.float64]) -> NDArray[np.float64]:
        bounds = [(0.0, _SHARPEST)] * len(of)
        return np.asarray(minimize(loss, np.ones(len(of)), (~held_out, of), jac=True, bounds=bounds).x)

    even = cosines.mean(axis=0, keepdims=True)
    weights = best(cosines)
    if not weights.any() or loss(weights, held_out, cosines)[0] >= loss(best(even), held_out, even)[0]:
        return None
    scaled = np.maximum(weights / weights.mean(), _LEAST)
    return tuple(float(w) for w in scaled / scaled.mean())


def _liked_together(
    matrix: sparse.csr_matrix, complete: NDArray[np.bool_], rng: np.random.Generator
) -> NDArray[np.int64]:
    """(p, 2) pairs of items that one user liked, the same number from each user at most."""
    found = []
    each = max(2, _MAX_PAIRS // max(1, matrix.shape[0]))
    for user in rng.permutation(matrix.shape[0])[:_MAX_PAIRS]:
        liked = matrix.indices[matrix.indptr[user] : matrix.indptr[user + 1]]
        found.append(_couple(liked[complete[liked]], each, rng))
    return np.concatenate(found)[:_MAX_PAIRS] if found else np.empty((0, 2), np.int64)


def _of_one_category(items: Sequence[Item], complete: NDArray[np.bool_], rng: np.random.Generator) -> NDArray[np.int64]:
    rows: dict[str, list[int]] = {}
    for row in np.flatnonzero(complete).tolist():
        for category in items[row].categories[:1]:
            rows.setdefault(category, []).append(row)
    if len(rows) < 2:
        return np.empty((0, 2), np.int64)
    return np.concatenate([_couple(np.array(own), _MAX_PAIRS // len(rows) + 1, rng) for own in rows.values()])


def _couple(rows: NDArray[np.integer], limit: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Up to ``limit`` pairs of different rows, each row first about as often as any other."""
    if len(rows) < 2:
        return np.empty((0, 2), np.int64)
    count = min(limit, 4 * len(rows))
    first = np.concatenate([rng.permutation(len(rows)) for _ in range(-(-count // len(rows)))])[:count]
    second = (first + rng.integers(1, len(rows), count)) % len(rows)
    return np.stack([rows[first], rows[second]], axis=1).astype(np.int64)
