"""What a policy would have earned, from the log of another one: IPS, SNIPS and doubly robust, with intervals.

Each interval is the normal one, estimate ± z · standard error. It covers because each estimate is, or is linear but for
terms that vanish faster than its error in, a mean of n terms: the central limit theorem makes the mean normal and the
terms' own spread estimates its error. For IPS the terms are weight × reward. For SNIPS, a ratio, the delta method gives
weight × (reward - estimate) ÷ mean weight (Owen 2013, chapter 9). For doubly robust they are the reward that a model
foretells plus the weighted error of the model; the model is fitted on the other folds (Chernozhukov et al. 2018), so
that its own error does not leak into them. A log that a learning policy wrote is no independent sample, yet with the
propensities of that moment the terms less the truth are a martingale's steps and the same limit holds, provided that
the propensities keep a floor (Hadad et al. 2021, section 2). Few effective observations are the limit of all this:
``effective`` says how many there are, and below about 50 no interval of this kind is to be trusted.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from aigc.errors import InvalidInputError
from aigc.evaluate.reward_model import RewardModel, RidgeRewardModel

__all__ = ["LoggedChoices", "PolicyValue", "doubly_robust", "ips", "snips"]


@dataclass(frozen=True, slots=True)
class LoggedChoices:
    """What a policy chose, how probably, and what came of it.

    Attributes:
        actions: (n,) int64 rows of the actions.
        propensities: (n,) float64 of the chosen actions under the policy that chose, in (0, 1].
        rewards: (n,) float64.
        contexts: (n, d) float64; may be empty where no model is fitted.
    """

    actions: NDArray[np.int64]
    propensities: NDArray[np.float64]
    rewards: NDArray[np.float64]
    contexts: NDArray[np.float64] = field(default_factory=lambda: np.empty((0, 0)))

    def __post_init__(self) -> None:
        """Refuse values without a meaning."""
        n = len(self.actions)
        if n < 2 or self.propensities.shape != (n,) or self.rewards.shape != (n,):
            raise InvalidInputError(
                f"{n} actions, {len(self.propensities)} propensities, {len(self.rewards)} rewards: give at least two, "
                "and as many of each",
                field="actions",
            )
        if self.actions.min() < 0:
            raise InvalidInputError(f"an action is {self.actions.min()}; give rows from 0", field="actions")
        if not ((self.propensities > 0) & (self.propensities <= 1)).all():
            raise InvalidInputError(
                "a propensity is not above 0 and at most 1; log the probability that the policy chose with",
                field="propensities",
            )
        if not np.isfinite(self.rewards).all():
            raise InvalidInputError("a reward is not finite", field="rewards")
        if self.contexts.size and (len(self.contexts) != n or not np.isfinite(self.contexts).all()):
            raise InvalidInputError(f"contexts are not {n} rows of finite numbers", field="contexts")


@dataclass(frozen=True, slots=True)
class PolicyValue:
    """The mean reward that a policy would have earned.

    Attributes:
        estimator: ``ips``, ``snips`` or ``doubly_robust``.
        value: The estimate.
        low: Lower end of its interval.
        high: Upper end.
        effective: Observations that it rests on: (Σ w)² ÷ Σ w².
        clipped: Part of all weight that clipping took away, in [0, 1]; 0 without clipping.
        bias_at_most: How far clipping may have moved the estimate at most: the mean of the weight taken away times what
            it would have multiplied (the reward; for SNIPS its distance from the estimate ÷ the mean weight; for doubly
            robust the model's error). With rewards of 0 and more IPS is too low by just this.
    """

    estimator: str
    value: float
    low: float
    high: float
    effective: float
    clipped: float
    bias_at_most: float

    def covers(self, truth: float) -> bool:
        """Is the truth within the interval?"""
        return self.low <= truth <= self.high


def ips(
    log: LoggedChoices, target: NDArray[np.float64], *, clip: float = math.inf, confidence: float = 0.95
) -> PolicyValue:
    """Inverse propensity scoring (Horvitz and Thompson 1952): the mean of weight × reward; unbiased unless clipped.

    Args:
        log: What was chosen.
        target: (n, n_actions) float64 probabilities of the policy in question, in each context.
        clip: Largest weight. Clipping trades variance for a bias (Ionides 2008), see ``PolicyValue.bias_at_most``.
        confidence: Of the interval, in (0, 1).
    """
    weights, kept = _weights(log, target, clip)
    return _mean("ips", kept * log.rewards, weights, kept, np.abs(log.rewards), confidence)


def snips(
    log: LoggedChoices, target: NDArray[np.float64], *, clip: float = math.inf, confidence: float = 0.95
) -> PolicyValue:
    """Self-normalised IPS (Swaminathan and Joachims 2015): Σ weight × reward ÷ Σ weight.

    Biased by a term of order 1/n, and usually nearer than IPS: it does not change when all rewards move together. A
    log in which no weight is above 0 has nothing to say and gives the whole range of rewards.
    """
    weights, kept = _weights(log, target, clip)
    total = float(kept.sum())
    if total == 0:
        low, high = float(log.rewards.min()), float(log.rewards.max())
        return PolicyValue("snips", (low + high) / 2, low, high, 0.0, 0.0, 0.0)
    value = float((kept * log.rewards).sum() / total)
    terms = value + kept * (log.rewards - value) / (total / len(kept))
    return _mean("snips", terms, weights, kept, np.abs(log.rewards - value) / float(weights.mean()), confidence)


def doubly_robust(
    log: LoggedChoices,
    target: NDArray[np.float64],
    *,
    model: RewardModel | None = None,
    folds: int = 5,
    seed: int = 0,
    clip: float = math.inf,
    confidence: float = 0.95,
) -> PolicyValue:
    """Doubly robust (Dudík, Langford and Li 2011): right when either the propensities or the model is.

    The mean of Σ_a π(a|x)·q(x, a) + weight × (reward - q(x, chosen)), q cross-fitted on the other folds.

    Args:
        log: With contexts.
        target: As for :func:`ips`.
        model: Of the rewards; ridge regression an action by default.
        folds: Parts of the log, from 2 on.
        seed: Of the parts.
        clip: As for :func:`ips`; here it weakens only the correction of the model's error.
        confidence: Of the interval, in (0, 1).
    """
    weights, kept = _weights(log, target, clip)
    n, n_actions = target.shape
    if len(log.contexts) != n:
        raise InvalidInputError("the log has no contexts; doubly robust needs them", field="contexts")
    if not 2 <= folds <= n:
        raise InvalidInputError(f"folds is {folds}; give 2 to {n}", field="folds")
    model = model or RidgeRewardModel()
    part = np.random.default_rng(seed).permutation(n) % folds
    foretold = np.empty((n, n_actions))
    for fold in range(folds):
        rest, asked = part != fold, part == fold
        foretold[asked] = model.predict(
            log.contexts[rest], log.actions[rest], log.rewards[rest], n_actions, log.contexts[asked]
        )
    errors = log.rewards - foretold[np.arange(n), log.actions]
    terms = (target * foretold).sum(axis=1) + kept * errors
    return _mean("doubly_robust", terms, weights, kept, np.abs(errors), confidence)


def _weights(
    log: LoggedChoices, target: NDArray[np.float64], clip: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    n = len(log.actions)
    if target.ndim != 2 or len(target) != n or target.shape[1] <= log.actions.max():
        raise InvalidInputError(
            f"target of shape {target.shape}: give {n} rows and a column for each action", field="target"
        )
    if not ((target >= 0).all() and np.allclose(target.sum(axis=1), 1, atol=1e-6)):
        raise InvalidInputError("target has rows that are no probabilities", field="target")
    if not clip > 0:
        raise InvalidInputError(f"clip is {clip}; give a number above 0, or infinity", field="clip")
    weights: NDArray[np.float64] = target[np.arange(n), log.actions] / log.propensities
    return weights, np.minimum(weights, clip)


def _mean(
    name: str,
    terms: NDArray[np.float64],
    weights: NDArray[np.float64],
    kept: NDArray[np.float64],
    multiplied: NDArray[np.float64],
    confidence: float,
) -> PolicyValue:
    if not 0 < confidence < 1:
        raise InvalidInputError(f"confidence is {confidence}; give a number between 0 and 1", field="confidence")
    n, value = len(terms), float(terms.mean())
    half = float(ndtri((1 + confidence) / 2)) * float(terms.std(ddof=1)) / math.sqrt(n)
    squares, total = float((kept**2).sum()), float(weights.sum())
    taken = weights - kept
    return PolicyValue(
        name,
        value,
        value - half,
        value + half,
        float(kept.sum()) ** 2 / squares if squares else 0.0,
        float(taken.sum()) / total if total else 0.0,
        float((taken * multiplied).mean()),
    )
