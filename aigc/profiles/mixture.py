"""What a set of texts is about as a whole: the mixture of topics under which they are likeliest."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["fit_mixture"]

_ROUNDS = 100
_LEAST = 1e-4


def fit_mixture(likelihoods: NDArray[np.floating]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Shares of the topics, and whose each text is, by maximum likelihood (EM, Dempster, Laird and Rubin 1977).

    Adding up single texts' chances drowns a small topic in what many texts might be about; a mixture explains all
    texts together, by as few topics as suffice.

    Args:
        likelihoods: (n, topics), n ≥ 1, at least 0: how likely each text is under each topic, up to a factor a text.

    Returns:
        (topics,) float64 that sum to 1, and (n, topics) float64 whose rows sum to 1.
    """
    peaks = likelihoods.max(axis=1, keepdims=True).astype(np.float64)
    scaled = np.divide(likelihoods, peaks, out=np.ones(likelihoods.shape), where=peaks > 0)
    fit = np.maximum(scaled, _LEAST)
    shares = np.full(fit.shape[1], 1.0 / fit.shape[1])
    owned = fit
    for _ in range(_ROUNDS):
        owned = fit * shares
        owned /= owned.sum(axis=1, keepdims=True)
        shares = owned.mean(axis=0)
    return shares, owned
