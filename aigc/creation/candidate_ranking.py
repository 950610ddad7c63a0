"""Which of several candidates are taken: near the profile, fluent, not like the others, and of every taste."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["places_by_category", "rank_candidates"]

_CLOSENESS, _QUALITY, _FLUENCY, _NOVELTY = 1.0, 0.5, 0.2, 0.5


def rank_candidates(
    embeddings: NDArray[np.float32],
    tastes: NDArray[np.float32],
    quality: Sequence[float],
    fluency: Sequence[float],
    taken: NDArray[np.float32],
) -> NDArray[np.int64]:
    """Rows of candidates, the best first.

    Args:
        embeddings: (n, d) float32 of the candidates, unit rows or zeros.
        tastes: (k, d) float32 of the user's tastes; closeness is to the nearest one.
        quality: n values in [0, 1] or NaN.
        fluency: n mean log-probabilities a token, or NaN.
        taken: (m, d) float32 of what was made for this user already: likeness to it counts against a candidate.

    Returns:
        (n,) int64, ties by row.
    """
    n = len(embeddings)
    closeness = (embeddings @ tastes.T).max(axis=1) if len(tastes) else np.zeros(n, np.float32)
    likeness = (embeddings @ taken.T).max(axis=1) if len(taken) else np.zeros(n, np.float32)
    # Where a model has no scorer, that part says nothing: all alike.
    scores = (
        _CLOSENESS * closeness
        - _NOVELTY * likeness
        + _QUALITY * np.nan_to_num(np.array(quality, np.float64), nan=0.5)
        + _FLUENCY * np.nan_to_num(np.array(fluency, np.float64), nan=0.0)
    )
    return np.lexsort((np.arange(n), -scores))


def places_by_category(counts: Mapping[str, int], room: int, tastes: Collection[str]) -> dict[str, int]:
    """How many of each category's candidates are taken: in proportion, and of each taste one at least where it fits.

    Args:
        counts: Category → candidates that passed; how often it was conditioned on is its share of the places.
        room: Places.
        tastes: Categories the user is known to like; others, tried for their novelty, have no place for sure.

    Returns:
        Category → places, at most its candidates, ``room`` in all where there are as many candidates.
    """
    total = sum(counts.values())
    most_first = sorted(counts, key=lambda c: (-counts[c], c))
    liked = [c for c in most_first if c in tastes][:room]
    places = dict.fromkeys(most_first, 0) | dict.fromkeys(liked, 1)
    for _ in range(min(room, total) - len(liked)):
        open_to = [c for c in most_first if places[c] < counts[c]]
        places[max(open_to, key=lambda c: room * counts[c] / total - places[c])] += 1
    return places
