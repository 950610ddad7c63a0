"""The mixture behind a set of texts."""

from __future__ import annotations

import numpy as np

from aigc.profiles.mixture import fit_mixture


def test_a_mixture_finds_the_shares_that_texts_were_drawn_from() -> None:
    rng = np.random.default_rng(0)
    truth = rng.choice(4, 4000, p=[0.6, 0.3, 0.1, 0.0])
    seen = np.where(rng.random(4000) < 0.7, truth, rng.integers(0, 4, 4000))
    # P(seen | topic): 0.7 for its own, and a quarter of the rest for any.
    likelihoods = np.where(np.arange(4) == seen[:, None], 0.7 + 0.075, 0.075)
    shares, owned = fit_mixture(likelihoods)
    np.testing.assert_allclose(shares, [0.6, 0.3, 0.1, 0.0], atol=0.03)
    np.testing.assert_allclose(owned.sum(axis=1), 1)


def test_a_factor_a_text_changes_nothing_and_zeros_are_borne() -> None:
    likelihoods = np.array([[0.2, 0.4], [3.0, 1.0], [0.0, 0.0]])
    shares, _ = fit_mixture(likelihoods)
    again, _ = fit_mixture(likelihoods * np.array([[5.0], [0.1], [7.0]]))
    np.testing.assert_allclose(shares, again)
    assert np.isfinite(shares).all()
