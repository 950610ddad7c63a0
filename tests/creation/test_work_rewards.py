"""One reward a piece of work, by what everyone who saw it did, once its window has passed."""

from __future__ import annotations

import random

import pytest

from aigc.creation.bandit.rewards import RewardOptions
from aigc.creation.work_rewards import WorkRewards

MINUTE = 60_000
Seen = tuple[str, str, float, int]


def work(*items: str) -> WorkRewards:
    rewards = WorkRewards(RewardOptions(window_ms=10 * MINUTE))
    for item in items:
        rewards.begin("w", 2, item)
    rewards.end("w", 0)
    return rewards


def learn(rewards: WorkRewards, events: list[Seen], now: int) -> bool:
    items, users, weights, times = zip(*events, strict=True)
    return rewards.learn(items, users, weights, times, now)


@pytest.mark.parametrize(
    ("events", "reward"),
    [
        ([("a", "u", 0.0, 1)], 0.0),
        ([("a", "u", 0.0, 1), ("a", "u", 0.3, 2), ("a", "u", 0.8, 3)], 0.8),
        ([("a", "u", 0.8, 1), ("b", "u", 0.0, 1)], 0.4),
        ([("a", "u", 0.6, 1), ("a", "v", 0.0, 1), ("b", "u", 0.0, 1)], 0.2),
        ([("a", "u", -1.0, 1)], 0.0),
        ([("a", "u", 0.8, 1), ("b", "u", -1.0, 1)], 0.2),
        ([("a", "u", 0.8, 1), ("a", "u", -1.0, 2)], 0.8),
        ([("a", "u", 0.0, 1), ("a", "u", 0.8, 11 * MINUTE)], 0.0),
    ],
)
def test_the_reward_is_the_mean_of_all_who_saw_it(events: list[Seen], reward: float) -> None:
    for seed in range(3):
        rewards = work("a", "b")
        shuffled = random.Random(seed).sample(events, len(events))
        assert learn(rewards, shuffled, 12 * MINUTE)
        found = rewards.take(12 * MINUTE)
        assert [(f.work, f.version) for f in found] == [("w", 2)]
        assert found[0].reward == pytest.approx(reward)
        assert not rewards.take(99 * MINUTE)


def test_work_closes_when_its_window_has_passed_and_not_before() -> None:
    rewards = work("a")
    assert rewards.next_due_ms == 0
    learn(rewards, [("a", "u", 0.0, 5 * MINUTE)], 5 * MINUTE)
    assert rewards.next_due_ms == 15 * MINUTE
    assert not rewards.take(14 * MINUTE)
    learn(rewards, [("a", "u", 0.5, 14 * MINUTE)], 14 * MINUTE)
    assert [f.reward for f in rewards.take(15 * MINUTE)] == [0.5]
    assert not learn(rewards, [("a", "u", 0.8, 16 * MINUTE)], 16 * MINUTE)


def test_an_event_that_comes_late_moves_the_window_to_where_it_was() -> None:
    rewards = work("a")
    learn(rewards, [("a", "u", 0.0, 8 * MINUTE)], 8 * MINUTE)
    learn(rewards, [("a", "u", 0.5, 2 * MINUTE)], 9 * MINUTE)
    assert [f.reward for f in rewards.take(12 * MINUTE)] == [0.5]
    assert not rewards.take(99 * MINUTE)


def test_a_clock_that_runs_ahead_does_not_keep_work_open() -> None:
    rewards = work("a")
    learn(rewards, [("a", "u", 0.5, 500 * MINUTE)], MINUTE)
    assert [f.reward for f in rewards.take(11 * MINUTE)] == [0.5]


def test_what_nobody_saw_waits_and_what_could_not_be_shown_is_worth_nothing() -> None:
    rewards = work("a")
    rewards.begin("empty", 1)
    rewards.begin("going on", 1)
    rewards.end("empty", MINUTE)
    rewards.end("unknown", MINUTE)
    assert [(f.work, f.version, f.reward) for f in rewards.take(99 * MINUTE)] == [("empty", 1, 0.0)]
    assert (rewards.waiting(1), rewards.waiting(2)) == (1, 1)
    rewards.end_all(MINUTE)
    assert [f.work for f in rewards.take(MINUTE)] == ["going on"]


def test_events_on_other_items_change_nothing() -> None:
    assert not learn(work("a"), [("z", "u", 1.0, 1)], 1)
    assert not learn(WorkRewards(), [("a", "u", 1.0, 1)], 1)
