"""How much each of several classifiers is to be believed, from what they say of items they never saw."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import logsumexp

__all__ = ["LEAST_CHANCE", "fit_vote_weights"]

LEAST_CHANCE = 1e-6


def fit_vote_weights(chances: NDArray[np.floating], labels: NDArray[np.int64]) -> NDArray[np.float64]:
    """Weights of a logarithmic opinion pool that make held-out labels likeliest (Genest and Zidek 1986; Hinton 2002).

    Args:
        chances: (voters, n, classes), each voter's chances for n held-out items.
        labels: (n,) the true classes.

    Returns:
        (voters,) float64, at least 0; a voter that only confuses gets 0.
    """
    logs = np.log(np.maximum(chances.astype(np.float64), LEAST_CHANCE))
    own = logs[:, np.arange(len(labels)), labels]

    def loss(weights: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        pooled = np.tensordot(weights, logs, axes=1)
        total = logsumexp(pooled, axis=1)
        expected = (np.exp(pooled - total[:, None])[None] * logs).sum(axis=2)
        return float((total - weights @ own).mean()), (expected - own).mean(axis=1)

    start = np.full(len(chances), 1.0 / len(chances))
    found = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=[(0.0, 10.0)] * len(chances))
    return np.asarray(found.x, np.float64)
