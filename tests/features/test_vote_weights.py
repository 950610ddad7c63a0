"""Votes weigh what they proved."""

from __future__ import annotations

import numpy as np

from aigc.features.vote_weights import fit_vote_weights


def voter(labels: np.ndarray, right: float, rng: np.random.Generator) -> np.ndarray:
    """Says one of four classes with 0.85; ``right`` is how often it is the true one."""
    said = np.where(rng.random(len(labels)) < right, labels, rng.integers(0, 4, len(labels)))
    return np.where(np.arange(4) == said[:, None], 0.85, 0.05)


def test_a_voter_that_only_confuses_is_not_heard_and_a_better_one_is_heard_more() -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 4, 3000)
    weights = fit_vote_weights(np.stack([voter(labels, right, rng) for right in (0.8, 0.4, 0.0)]), labels)
    assert weights[0] > 1.5 * weights[1] > 0
    assert weights[2] < 0.1 * weights[0]


def test_one_voter_is_tempered_to_what_its_word_is_worth() -> None:
    rng = np.random.default_rng(1)
    labels = rng.integers(0, 4, 20_000)
    chances = voter(labels, 0.5, rng)
    weight = fit_vote_weights(chances[None], labels)[0]
    pooled = chances**weight / (chances**weight).sum(axis=1, keepdims=True)
    # Right by intent half of the time, and by chance in a quarter of the rest.
    assert abs(pooled.max() - 0.625) < 0.02
