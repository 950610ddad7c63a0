"""A worse model is not promoted, one promoted by force is rolled back, and looking often makes no difference."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from aigc.creation.champion_aliases import CANDIDATE, PREVIOUS, promotion_of, write_aliases
from aigc.creation.offline_gate import Measure, judge_offline
from aigc.creation.promotion import Outcome, Promoter, Promotion, PromotionOptions, Stage, Step
from aigc.creation.sequential import Tally, difference
from aigc.errors import ConflictError, CorruptDataError, InvalidInputError
from aigc.generate.repository import ModelRepository

GOOD = judge_offline("gan", {"frechet": 10.0}, {"frechet": 10.2})
STEADY = Promotion("digits", 1)


def run(promoter: Promoter, state: Promotion, means: dict[int, float], seed: int, most: int = 60_000) -> Step:
    """Work and rewards until the stage ends."""
    rng = np.random.default_rng(seed)
    for i in range(most // 50):
        work = [promoter.serves(state, f"{seed}-{i}-{k}") for k in range(50)]
        for version in sorted(set(work)):
            step = promoter.observe(state, version, (rng.random(work.count(version)) < means[version]).tolist())
            if step.outcome is not Outcome.NOTHING:
                return step
            state = step.state
    return Step(state)


def canary(promoter: Promoter) -> Promotion:
    return promoter.propose(STEADY, 2, GOOD).state


def test_a_candidate_with_worse_offline_measures_gets_no_work() -> None:
    verdict = judge_offline("gan", {"frechet": 10.0, "coverage": 0.9}, {"frechet": 14.0, "coverage": 0.9})
    step = Promoter().propose(STEADY, 2, verdict)
    assert step.outcome is Outcome.REFUSED
    assert step.state == STEADY
    assert "frechet is 14, the champion's 10" in step.text
    assert "coverage" not in step.text


def test_a_worse_candidate_that_looks_good_offline_is_stopped_by_its_canary() -> None:
    promoter = Promoter()
    for seed in range(5):
        step = run(promoter, canary(promoter), {1: 0.3, 2: 0.2}, seed)
        assert step.outcome is Outcome.CANARY_STOPPED
        assert step.state == STEADY


def test_a_better_candidate_is_promoted_watched_and_settled() -> None:
    promoter = Promoter()
    promoted = run(promoter, canary(promoter), {1: 0.3, 2: 0.4}, 1)
    assert promoted.outcome is Outcome.PROMOTED
    assert promoted.state == Promotion("digits", 2, Stage.WATCH, 1)
    settled = run(promoter, promoted.state, {1: 0.3, 2: 0.4}, 2)
    assert settled.outcome is Outcome.SETTLED
    assert settled.state == Promotion("digits", 2)


def test_a_worse_version_promoted_by_force_is_rolled_back() -> None:
    promoter = Promoter()
    forced = promoter.force(STEADY, 2)
    assert (forced.outcome, forced.state.champion, forced.state.other) == (Outcome.FORCED, 2, 1)
    for seed in range(5):
        step = run(promoter, forced.state, {1: 0.3, 2: 0.2}, seed)
        assert step.outcome is Outcome.ROLLED_BACK
        assert step.state == STEADY


def test_a_second_force_is_watched_beside_the_version_that_was_trusted() -> None:
    promoter = Promoter()
    twice = promoter.force(promoter.force(STEADY, 2).state, 3)
    assert (twice.state.champion, twice.state.other) == (3, 1)
    back = promoter.force(twice.state, 1)
    assert (back.outcome, back.state) == (Outcome.ROLLED_BACK, STEADY)


def test_an_equal_model_is_rarely_stopped_however_often_one_looks() -> None:
    promoter = Promoter(PromotionOptions(margin=0.5, least=50))
    wrong = 0
    for seed in range(100):
        rng = np.random.default_rng(seed)
        one, other = np.cumsum(rng.random((2, 3000)) < 0.2, axis=1)
        for n in range(50, 3000, 10):
            found = difference(
                Tally(n, one[n - 1], one[n - 1]), Tally(n, other[n - 1], other[n - 1]), alpha=0.05, spread=0.05
            )
            if found.high < 0 or found.low > 0:
                wrong += 1
                break
    assert wrong <= 8
    assert promoter.options.margin == 0.5


def test_looking_often_with_an_ordinary_interval_would_be_wrong() -> None:
    wrong = 0
    for seed in range(100):
        rng = np.random.default_rng(seed)
        n = np.arange(50, 3000, 10)
        one, other = np.cumsum(rng.random((2, 3000)) < 0.2, axis=1)[:, n - 1] / n
        wrong += bool((np.abs(one - other) > 1.96 * np.sqrt((one * (1 - one) + other * (1 - other)) / n)).any())
    assert wrong > 20


def test_the_interval_narrows_and_holds_the_truth() -> None:
    small = difference(Tally(200, 60, 60), Tally(200, 40, 40), alpha=0.05, spread=0.05)
    large = difference(Tally(20_000, 6000, 6000), Tally(20_000, 4000, 4000), alpha=0.05, spread=0.05)
    assert small.low < large.low < 0.1 < large.high < small.high
    nothing = difference(Tally(), Tally(5, 1, 1), alpha=0.05, spread=0.05)
    assert (nothing.low, nothing.high) == (-np.inf, np.inf)


def test_rewards_that_never_came_are_no_certainty() -> None:
    found = difference(Tally(100), Tally(100), alpha=0.05, spread=0.05)
    assert found.low < 0 < found.high


def test_work_is_split_by_its_key_in_the_share_that_was_set() -> None:
    promoter = Promoter()
    state = canary(promoter)
    served = [promoter.serves(state, str(i)) for i in range(5000)]
    assert 0.08 < served.count(2) / 5000 < 0.12
    assert served == [promoter.serves(state, str(i)) for i in range(5000)]
    assert {promoter.serves(STEADY, str(i)) for i in range(50)} == {1}
    watched = promoter.force(STEADY, 2).state
    assert 0.27 < [promoter.serves(watched, str(i)) for i in range(5000)].count(1) / 5000 < 0.33


def test_nothing_is_decided_before_the_least_number_of_rewards() -> None:
    promoter = Promoter(PromotionOptions(least=500))
    state = canary(promoter)
    state = promoter.observe(state, 1, [1.0] * 5000).state
    assert promoter.observe(state, 2, [0.0] * 499).outcome is Outcome.NOTHING
    assert promoter.observe(state, 2, [0.0] * 500).outcome is Outcome.CANARY_STOPPED


def test_what_stays_undecided_ends_with_the_version_that_is_trusted() -> None:
    promoter = Promoter(PromotionOptions(least=100, most=100, margin=0.001))
    even = [0.0, 1.0] * 50

    def undecided(state: Promotion) -> Step:
        older, newer = sorted((state.champion, state.other))
        return promoter.observe(promoter.observe(state, older, even).state, newer, even)

    assert undecided(canary(promoter)).outcome is Outcome.CANARY_STOPPED
    assert undecided(promoter.force(STEADY, 2).state).outcome is Outcome.ROLLED_BACK
    assert undecided(Promotion("digits", 2, Stage.WATCH, 1)).outcome is Outcome.SETTLED


def test_late_rewards_of_another_version_change_nothing() -> None:
    promoter = Promoter()
    state = canary(promoter)
    assert promoter.observe(state, 7, [1.0]).state is state
    assert promoter.observe(STEADY, 1, [1.0]).state is STEADY


def test_one_comparison_at_a_time() -> None:
    promoter = Promoter()
    with pytest.raises(ConflictError, match="withdraw it or promote by force"):
        promoter.propose(canary(promoter), 3, GOOD)
    assert promoter.withdraw(canary(promoter)).state == STEADY
    assert promoter.withdraw(promoter.force(STEADY, 2).state).outcome is Outcome.ROLLED_BACK
    assert promoter.withdraw(STEADY).outcome is Outcome.NOTHING


def test_a_state_survives_json() -> None:
    promoter = Promoter()
    state = promoter.observe(canary(promoter), 2, [0.3, 0.8]).state
    assert Promotion.from_json(json.loads(json.dumps(state.to_json()))) == state
    for broken in ({}, {**state.to_json(), "stage": "lost"}, {**state.to_json(), "other_rewards": {"m": 1}}):
        with pytest.raises(CorruptDataError, match="begin the comparison again"):
            Promotion.from_json(broken)


@pytest.mark.parametrize(
    ("kind", "champion", "candidate", "passes"),
    [
        ("gan", {"frechet": 10.0}, {"frechet": 10.4}, True),
        ("gan", {"frechet": 10.0}, {"frechet": 10.6}, False),
        ("gan", {"coverage": 0.9}, {"coverage": 0.89}, True),
        ("gan", {"coverage": 0.9}, {"coverage": 0.85}, False),
        ("gan", {"coverage": 0.9}, {}, False),
        ("gan", {"coverage": 0.9}, {"coverage": float("nan")}, False),
        ("vae", {"elbo": -90.0}, {"elbo": -90.5}, True),
        ("vae", {"elbo": -90.0}, {"elbo": -95.0}, False),
        ("gpt", {"bits_per_character": 2.0}, {"bits_per_character": 1.9}, True),
        ("gpt", {"bits_per_character": 2.0}, {"bits_per_character": 2.1}, False),
        ("gan", {"coverage": 0.9, "coverage_error": 0.03}, {"coverage": 0.83, "coverage_error": 0.01}, True),
        ("gan", {"coverage": 0.9, "coverage_error": 0.03}, {"coverage": 0.81, "coverage_error": 0.01}, False),
        ("gpt", {}, {"bits_per_character": 2.1}, False),
        ("gan", {"another": 1.0}, {"another": 9.0}, False),
        ("unknown", {"frechet": 1.0}, {"frechet": 1.0}, False),
    ],
)
def test_offline_measures_know_their_direction_and_tolerance(
    kind: str, champion: dict[str, float], candidate: dict[str, float], passes: bool
) -> None:
    assert judge_offline(kind, champion, candidate).passes is passes


def test_a_measure_of_ones_own_can_be_added() -> None:
    mine = {"song": (Measure("pitch", True),)}
    assert judge_offline("song", {"pitch": 1.0}, {"pitch": 1.0}, mine).passes
    assert "nothing was measured" in judge_offline("song", {}, {}, mine).text


@pytest.mark.parametrize(
    "options", [{"canary_share": 0.0}, {"watch_share": 0.6}, {"margin": 1.0}, {"alpha": 0.0}, {"least": 1}, {"most": 5}]
)
def test_options_without_a_meaning_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(InvalidInputError, match="give"):
        PromotionOptions(**options)


def test_a_version_that_cannot_be_proposed_is_refused() -> None:
    for version in (0, 1):
        with pytest.raises(InvalidInputError):
            Promoter().propose(STEADY, version, GOOD)
    with pytest.raises(InvalidInputError, match="reward is"):
        Promoter().observe(canary(Promoter()), 2, [1.5])


class Stone:
    kind = "stone"
    described: ClassVar = {"parameters": 0}

    def save(self, folder: Path) -> None:
        (folder / "config.json").write_text(json.dumps({"kind": self.kind}))


def test_aliases_follow_the_state_and_tell_it_after_a_restart(tmp_path: Path) -> None:
    repository, promoter = ModelRepository(tmp_path / "models"), Promoter()
    for _ in range(3):
        repository.add("digits", Stone())

    def aliases() -> dict[str, int]:
        return {a: info.version for info in repository.models() for a in info.aliases}

    state = canary(promoter)
    write_aliases(repository, state)
    assert aliases() == {"champion": 1, CANDIDATE: 2}
    assert promotion_of(repository, "digits") == state
    state = Promotion("digits", 2, Stage.WATCH, 1, forced=True)
    write_aliases(repository, state)
    assert aliases() == {"champion": 2, PREVIOUS: 1}
    assert promotion_of(repository, "digits") == state
    assert repository.get("digits").version == 2
    write_aliases(repository, promoter.withdraw(state).state)
    assert aliases() == {"champion": 1}
    assert promotion_of(repository, "digits") == STEADY
