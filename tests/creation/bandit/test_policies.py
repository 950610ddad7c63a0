"""Any bandit: its propensities are true, its state is what its log says, and it finds the better arm."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from scipy.special import betaln

from aigc.creation.bandit.arm import Arm, Feedback
from aigc.creation.bandit.lin_ucb import LinUcb
from aigc.creation.bandit.policy import Bandit, choose, choose_several, replay, state_digest
from aigc.creation.bandit.thompson import ThompsonSampling, chances_to_be_best
from aigc.errors import CorruptDataError, InvalidInputError

ARMS = [Arm("a", (1.0, 0.2)), Arm("b", (1.0, 0.9)), Arm("c", (1.0, 0.5))]
BANDITS: list[Bandit[Any]] = [ThompsonSampling(), LinUcb(2), LinUcb(2, shared=True)]
each_bandit = pytest.mark.parametrize("bandit", BANDITS, ids=["thompson", "disjoint", "shared"])


def log(n: int = 300, seed: int = 0) -> list[Feedback]:
    rng = np.random.default_rng(seed)
    rows = rng.integers(3, size=n).tolist()
    return [
        Feedback(ARMS[r].id, float(rng.random() < (0.2, 0.7, 0.4)[r]), ARMS[r].features, 1 + 0.7 * (i % 3 == 0))
        for i, r in enumerate(rows)
    ]


@each_bandit
def test_propensities_are_the_frequencies_of_what_is_chosen(bandit: Bandit[Any]) -> None:
    state = replay(bandit, log(30))
    chances = bandit.probabilities(state, ARMS)
    choices = [choose(bandit, state, ARMS, seed) for seed in range(1000)]
    counts = np.bincount([c.row for c in choices], minlength=3)
    assert np.abs(counts / 1000 - chances).max() < 0.06
    assert all(c.propensity == chances[c.row] and c.arm == ARMS[c.row] for c in choices)


@each_bandit
def test_every_arm_keeps_a_propensity_above_zero(bandit: Bandit[Any]) -> None:
    certain = [Feedback("a", 1.0, ARMS[0].features)] * 500 + [Feedback("b", 0.0, ARMS[1].features)] * 500
    chances = bandit.probabilities(replay(bandit, certain), ARMS)
    floor = bandit.floor / 3  # type: ignore[attr-defined]
    assert chances.min() >= floor - 1e-12
    assert chances.sum() == pytest.approx(1)


@each_bandit
def test_state_is_rebuilt_from_the_log_to_the_last_bit(bandit: Bandit[Any]) -> None:
    entries = log()
    piecewise = bandit.start()
    for entry in entries:
        piecewise = bandit.learn(piecewise, [entry])
    assert replay(bandit, entries) == piecewise
    assert state_digest(bandit, replay(bandit, entries)) == state_digest(bandit, piecewise)


@each_bandit
def test_state_survives_json_exactly(bandit: Bandit[Any]) -> None:
    state = replay(bandit, log())
    assert bandit.from_json(json.loads(json.dumps(bandit.to_json(state)))) == state


@each_bandit
@pytest.mark.parametrize("raw", [{}, {"counts": 3, "sums": 3}, {"counts": {"a": [1]}, "sums": {"a": {"gram": []}}}])
def test_a_broken_state_is_refused(bandit: Bandit[Any], raw: dict[str, Any]) -> None:
    with pytest.raises(CorruptDataError, match="rebuild it from the log"):
        bandit.from_json(raw)


@each_bandit
def test_the_same_seed_chooses_the_same_arm(bandit: Bandit[Any]) -> None:
    state = replay(bandit, log(40))
    assert [choose(bandit, state, ARMS, 5) for _ in range(3)] == [choose(bandit, state, ARMS, 5)] * 3
    assert len({choose(bandit, bandit.start(), ARMS, seed).row for seed in range(200)}) == 3


@each_bandit
def test_the_better_arm_is_found(bandit: Bandit[Any]) -> None:
    rng = np.random.default_rng(3)
    state, late = bandit.start(), 0
    for step in range(400):
        choice = choose(bandit, state, ARMS, step)
        reward = float(rng.random() < (0.1, 0.6, 0.3)[choice.row])
        state = bandit.learn(state, [Feedback(choice.arm.id, reward, choice.arm.features)])
        late += choice.row == 1 and step >= 200
    assert late > 130


@each_bandit
def test_learning_leaves_the_old_state_alone(bandit: Bandit[Any]) -> None:
    state = replay(bandit, log(20))
    before = state_digest(bandit, state)
    bandit.learn(state, log(20, seed=1))
    assert state_digest(bandit, state) == before


@each_bandit
def test_several_choices_are_different_with_propensities_of_their_own_draw(bandit: Bandit[Any]) -> None:
    state = replay(bandit, log(20))
    first, second, third = choose_several(bandit, state, ARMS, 5, seed=2)
    assert {first.row, second.row, third.row} == {0, 1, 2}
    left = [arm for row, arm in enumerate(ARMS) if row != first.row]
    assert second.propensity == bandit.probabilities(state, left)[left.index(second.arm)]
    assert third.propensity == 1.0


@each_bandit
def test_no_arm_or_one_arm_twice_is_refused(bandit: Bandit[Any]) -> None:
    with pytest.raises(InvalidInputError):
        choose(bandit, bandit.start(), [], 0)
    with pytest.raises(InvalidInputError, match="twice"):
        choose(bandit, bandit.start(), [ARMS[0], ARMS[0]], 0)


def test_thompson_probabilities_are_those_of_drawing_and_taking_the_largest() -> None:
    rng = np.random.default_rng(0)
    a = np.array([1.0, 3.5, 40.0, 4000.0, 0.5])
    b = np.array([1.0, 9.0, 160.0, 16000.0, 3.0])
    drawn = np.bincount(rng.beta(a, b, (200_000, 5)).argmax(axis=1), minlength=5) / 200_000
    assert np.abs(chances_to_be_best(a, b) - drawn).max() < 0.005


@pytest.mark.parametrize(("a", "b", "c", "d"), [(3, 5, 4, 4), (1, 1, 1, 1), (30, 170, 45, 160), (2, 300, 5, 290)])
def test_thompson_probabilities_meet_the_closed_form_of_two_arms(a: int, b: int, c: int, d: int) -> None:
    # P(second > first) by Miller (2015), for whole numbers.
    exact = sum(np.exp(betaln(a + i, b + d) - np.log(d + i) - betaln(1 + i, d) - betaln(a, b)) for i in range(c))
    found = chances_to_be_best(np.array([a, c], float), np.array([b, d], float))
    assert found[1] == pytest.approx(exact, abs=3e-4)


def test_thompson_counts_do_not_depend_on_the_order_of_the_log() -> None:
    policy, entries = ThompsonSampling(), log()
    assert replay(policy, entries) == replay(policy, entries[::-1])


def test_many_arms_stay_a_distribution() -> None:
    a = np.linspace(1, 50, 300)
    chances = chances_to_be_best(a, 51 - a)
    assert chances.sum() == pytest.approx(1)
    assert (np.diff(chances) > -1e-9).all()


def test_a_shared_linucb_values_an_arm_that_it_never_saw() -> None:
    policy = LinUcb(2, shared=True, alpha=0.0)
    state = replay(policy, [Feedback("x", 1.0, (1.0, 1.0)), Feedback("y", 0.0, (1.0, 0.0))] * 50)
    near, far = policy.bounds(state, [Arm("new", (1.0, 0.9)), Arm("other", (1.0, 0.1))])
    assert near > 0.8
    assert far < 0.2


def test_linucb_is_ridge_regression_with_a_wider_bound_where_less_is_known() -> None:
    policy = LinUcb(1, alpha=2.0, reg=1.0)
    state = replay(policy, [Feedback("a", 1.0, (1.0,))] * 3)
    known, unknown = policy.bounds(state, [Arm("a", (1.0,)), Arm("b", (1.0,))])
    assert known == pytest.approx(3 / 4 + 2 * np.sqrt(1 / 4))
    assert unknown == pytest.approx(2.0)


def test_features_of_another_size_are_refused() -> None:
    with pytest.raises(InvalidInputError, match="give 2 finite numbers"):
        LinUcb(2).probabilities(LinUcb(2).start(), [Arm("a", (1.0,))])
    with pytest.raises(InvalidInputError, match="finite"):
        LinUcb(2).learn(LinUcb(2).start(), [Feedback("a", 1.0, (1.0, float("nan")))])


@pytest.mark.parametrize(
    "make",
    [
        lambda: ThompsonSampling(floor=0),
        lambda: ThompsonSampling(floor=float("nan")),
        lambda: ThompsonSampling(successes=0),
        lambda: LinUcb(0),
        lambda: LinUcb(2, alpha=-1),
        lambda: LinUcb(2, reg=0),
        lambda: Feedback("a", 1.5),
        lambda: Feedback("a", 0.5, trials=0),
    ],
)
def test_options_without_a_meaning_are_refused(make: Any) -> None:
    with pytest.raises(InvalidInputError, match="give"):
        make()
