"""Estimates of one policy from another's log: unbiased, covering, and honest about what clipping costs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from aigc.errors import InvalidInputError
from aigc.evaluate.off_policy import LoggedChoices, PolicyValue, doubly_robust, ips, snips
from aigc.evaluate.reward_model import RidgeRewardModel

ESTIMATORS = [ips, snips, doubly_robust]
each_estimator = pytest.mark.parametrize("estimate", ESTIMATORS, ids=["ips", "snips", "dr"])
COEFFICIENTS = np.array([[0.1, 0.5, 0.0], [0.3, -0.2, 0.3], [0.2, 0.0, 0.6]])


class Situation:
    """Three actions, contexts in [0, 1]², Bernoulli rewards; a logging and a target policy that differ."""

    def __init__(self, n: int, seed: int) -> None:
        rng = np.random.default_rng(seed)
        self.contexts = rng.random((n, 2))
        self.means = self.reward_means(self.contexts)
        self.logging = self.policy(self.contexts, 1.5)
        self.target = self.policy(self.contexts, -3.0)
        self.actions = (self.logging.cumsum(axis=1) < rng.random((n, 1))).sum(axis=1).clip(0, 2).astype(np.int64)
        rows = np.arange(n)
        rewards = (rng.random(n) < self.means[rows, self.actions]).astype(float)
        self.log = LoggedChoices(self.actions, self.logging[rows, self.actions], rewards, self.contexts)

    @staticmethod
    def reward_means(contexts: np.ndarray) -> np.ndarray:
        return np.column_stack((np.ones(len(contexts)), contexts)) @ COEFFICIENTS.T

    @staticmethod
    def policy(contexts: np.ndarray, slope: float) -> np.ndarray:
        scores = np.exp(slope * np.column_stack((contexts[:, 0], contexts[:, 1], np.full(len(contexts), 0.5))))
        chances = scores / scores.sum(axis=1, keepdims=True)
        return np.asarray(0.9 * chances + 0.1 / 3)


def true_value() -> float:
    contexts = np.random.default_rng(999).random((400_000, 2))
    return float((Situation.policy(contexts, -3.0) * Situation.reward_means(contexts)).sum(axis=1).mean())


TRUTH = true_value()


@each_estimator
def test_the_interval_covers_the_truth_as_often_as_it_says(estimate: Any) -> None:
    covered = sum(estimate(s.log, s.target).covers(TRUTH) for s in (Situation(500, seed) for seed in range(200)))
    assert 180 <= covered <= 199


@each_estimator
def test_on_average_the_estimate_is_the_truth(estimate: Any) -> None:
    values = [estimate(s.log, s.target).value for s in (Situation(400, seed) for seed in range(150))]
    assert abs(np.mean(values) - TRUTH) < 4 * np.std(values) / np.sqrt(150)


def test_the_model_makes_doubly_robust_surer_than_ips() -> None:
    def widths(found: PolicyValue) -> float:
        return found.high - found.low

    situations = [Situation(500, seed) for seed in range(20)]
    plain = np.mean([widths(ips(s.log, s.target)) for s in situations])
    assert np.mean([widths(doubly_robust(s.log, s.target)) for s in situations]) < 0.95 * plain
    assert np.mean([widths(snips(s.log, s.target)) for s in situations]) < plain


def test_doubly_robust_is_right_with_a_model_that_is_wrong() -> None:
    class Nonsense:
        def predict(self, contexts: Any, actions: Any, rewards: Any, n_actions: int, asked: Any) -> Any:
            return np.full((len(asked), n_actions), 0.9)

    values = [doubly_robust(s.log, s.target, model=Nonsense()).value for s in (Situation(500, i) for i in range(100))]
    assert abs(np.mean(values) - TRUTH) < 0.015


def test_snips_does_not_care_when_all_rewards_move() -> None:
    situation = Situation(300, 1)
    log = situation.log
    moved = LoggedChoices(log.actions, log.propensities, log.rewards + 10, log.contexts)
    before, after = snips(log, situation.target), snips(moved, situation.target)
    assert after.value == pytest.approx(before.value + 10)
    assert after.high - after.low == pytest.approx(before.high - before.low)


@each_estimator
def test_a_policy_judged_by_its_own_log_gets_its_mean_reward(estimate: Any) -> None:
    situation = Situation(400, 3)
    found = estimate(situation.log, situation.logging)
    mean = situation.log.rewards.mean()
    assert found.value == pytest.approx(mean, abs=1e-12 if estimate is not doubly_robust else 0.02)
    assert found.effective == pytest.approx(400)


@each_estimator
def test_clipping_says_how_far_it_may_have_moved_the_estimate(estimate: Any) -> None:
    situation = Situation(4000, 5)
    whole, clipped = estimate(situation.log, situation.target), estimate(situation.log, situation.target, clip=1.5)
    assert whole.clipped == whole.bias_at_most == 0
    assert 0 < clipped.clipped < 1
    assert clipped.effective > whole.effective
    if estimate is ips:
        assert whole.value - clipped.value == pytest.approx(clipped.bias_at_most)
    else:
        assert abs(whole.value - clipped.value) <= clipped.bias_at_most + 1e-12


def test_a_log_without_a_wanted_action_says_nothing() -> None:
    log = LoggedChoices(np.zeros(5, np.int64), np.full(5, 0.5), np.array([0.0, 1, 0, 1, 1]))
    target = np.tile([0.0, 1.0], (5, 1))
    assert (snips(log, target).low, snips(log, target).high, snips(log, target).effective) == (0, 1, 0)
    assert ips(log, target).value == 0


def test_an_action_that_the_log_lacks_is_foretold_as_the_mean() -> None:
    contexts, rewards = np.array([[0.0], [1.0]]), np.array([0.0, 1.0])
    found = RidgeRewardModel().predict(contexts, np.zeros(2, np.int64), rewards, 2, contexts)
    assert found[:, 1].tolist() == [0.5, 0.5]


def good() -> dict[str, Any]:
    return {"actions": np.array([0, 1]), "propensities": np.array([0.5, 0.5]), "rewards": np.array([0.0, 1.0])}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("actions", np.array([0])),
        ("actions", np.array([0, -1])),
        ("propensities", np.array([0.5, 0.0])),
        ("propensities", np.array([0.5, float("nan")])),
        ("propensities", np.array([0.5, 1.2])),
        ("rewards", np.array([0.0, float("inf")])),
        ("contexts", np.ones((3, 1))),
    ],
)
def test_a_log_that_cannot_be_is_refused(field: str, value: Any) -> None:
    with pytest.raises(InvalidInputError) as error:
        LoggedChoices(**{**good(), field: value})
    assert error.value.field in (field, "actions")


@pytest.mark.parametrize(
    "options",
    [
        {"target": np.ones((2, 2))},
        {"target": np.full((3, 2), 0.5)},
        {"target": np.ones((2, 1))},
        {"clip": 0.0},
        {"confidence": 1.0},
        {"folds": 1},
        {"folds": 3},
    ],
)
def test_a_question_without_a_meaning_is_refused(options: dict[str, Any]) -> None:
    log = LoggedChoices(**good(), contexts=np.ones((2, 1)))
    with pytest.raises(InvalidInputError):
        doubly_robust(log, **{"target": np.full((2, 2), 0.5), "folds": 2, **options})


def test_doubly_robust_without_contexts_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="no contexts"):
        doubly_robust(LoggedChoices(**good()), np.full((2, 2), 0.5), folds=2)


def test_a_ridge_without_a_meaning_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="reg"):
        RidgeRewardModel(0)
