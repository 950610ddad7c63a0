"""Rewards from events, places for new items under the cap, and arms of generators."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aigc.creation.bandit.arm import Feedback
from aigc.creation.bandit.exploration import FRESH_FEATURES, ExplorationOptions, FreshItem, explore
from aigc.creation.bandit.generation_arm import GenerationArm, generation_arms
from aigc.creation.bandit.lin_ucb import LinUcb
from aigc.creation.bandit.policy import choose, replay
from aigc.creation.bandit.rewards import RewardOptions, Shown, feedback_of
from aigc.creation.bandit.thompson import ThompsonSampling
from aigc.entities import Event
from aigc.errors import InvalidInputError
from aigc.profiles.weights import EventWeights

HOUR = 3_600_000
SHOWN = Shown("rec", "ann", "pic", "digits@1|class", 1000, 0.4, (1.0, 2.0))


def event(kind: str, at: int = 2000, rec: str = "rec", user: str = "ann", value: float | None = None) -> Event:
    return Event(f"{kind}-{at}-{rec}", user, "pic", kind, at, value, rec)


def rewards(*events: Event, until: int = 10 * HOUR) -> list[Feedback]:
    return feedback_of([SHOWN], events, EventWeights(), until)


def test_a_click_is_worth_its_weight() -> None:
    (found,) = rewards(event("impression"), event("click"))
    assert found == Feedback(SHOWN.arm, found.reward, (1.0, 2.0))
    assert found.reward == pytest.approx(0.3)


def test_the_strongest_event_counts() -> None:
    assert rewards(event("click"), event("like"), event("view"))[0].reward == pytest.approx(0.8)


def test_seen_and_left_is_a_reward_of_nothing() -> None:
    assert rewards(event("impression")) == [Feedback(SHOWN.arm, 0.0, (1.0, 2.0))]


def test_a_rejection_counts_as_several_trials_without_success() -> None:
    assert rewards(event("dislike"))[0].trials == 3.0
    assert rewards(event("rating", value=0.5))[0].trials == 3.0
    assert rewards(event("skip"))[0].trials == pytest.approx(1.4)


def test_what_was_not_seen_teaches_nothing() -> None:
    assert rewards() == []
    assert rewards(event("click", user="bob")) == []
    assert rewards(event("click", rec="another")) == []


def test_an_event_that_names_no_answer_counts_by_user_and_time() -> None:
    assert rewards(event("click", rec=""))[0].reward == pytest.approx(0.3)
    assert rewards(event("click", rec="", at=999)) == []
    assert rewards(event("click", rec="", at=2 * HOUR)) == []


def test_nothing_is_learned_before_the_window_has_passed() -> None:
    assert rewards(event("click"), until=1000 + HOUR - 1) == []
    assert len(rewards(event("click"), until=1000 + HOUR)) == 1


def test_feedback_comes_by_time_whatever_the_order_of_the_log() -> None:
    shown = [Shown(f"r{i}", "ann", "pic", f"arm-{i}", 1000 + i, 0.5) for i in range(5)]
    events = [event("click", rec=f"r{i}") for i in range(5)]
    found = feedback_of(shown[::-1], events[::-1], EventWeights(), 10 * HOUR)
    assert [f.arm for f in found] == [f"arm-{i}" for i in range(5)]


@pytest.mark.parametrize("options", [{"window_ms": 0}, {"rejection_trials": -1}, {"rejection_trials": float("nan")}])
def test_reward_options_without_a_meaning_are_refused(options: dict[str, float]) -> None:
    with pytest.raises(InvalidInputError, match="give"):
        RewardOptions(**options)  # type: ignore[arg-type]


def test_a_rejected_generator_is_chosen_less() -> None:
    arms = generation_arms({"digits@1": ["class", "taste"], "poems@2": ["prompt"]})
    policy = ThompsonSampling()
    state = replay(policy, [Feedback(arms[0].id, 0.0, trials=3.0)] * 10 + [Feedback(arms[1].id, 0.8)] * 10)
    bad, good, unknown = policy.probabilities(state, arms)
    assert bad < 0.05 < unknown < good


def test_a_generation_arm_is_read_back_from_its_id() -> None:
    arm = GenerationArm("digits@3", "class")
    assert GenerationArm.parse(arm.id) == arm
    for broken in ("digits@3", "|class", "a|b|c"):
        with pytest.raises(InvalidInputError):
            GenerationArm.parse(broken)


RANKED = [f"item-{i}" for i in range(10)]
FRESH = [FreshItem(f"new-{i}", 0.1 * i) for i in range(6)]


def test_a_new_item_takes_the_place_of_the_last_one_that_is_not_generated() -> None:
    found = explore(ThompsonSampling(), ThompsonSampling().start(), RANKED, (), FRESH, n=10, most_generated=3, seed=1)
    (trial,) = found.trials
    assert found.items[trial.place] == trial.item_id
    assert [i for i in found.items if i != trial.item_id] == RANKED[:9]
    assert 0 < trial.propensity <= 1
    assert trial.features == next(f.features for f in FRESH if f.item_id == trial.item_id)


def test_where_the_cap_is_reached_a_generated_item_makes_room() -> None:
    made = {"item-1", "item-4"}
    found = explore(ThompsonSampling(), ThompsonSampling().start(), RANKED, made, FRESH, n=10, most_generated=2, seed=1)
    assert "item-4" not in found.items
    assert "item-1" in found.items
    assert len(found.items) == 10


def test_known_items_and_those_in_the_list_are_not_tried() -> None:
    fresh = [FreshItem("item-3", 0.9), FreshItem("old", 0.9, shown=20), FreshItem("new", 0.1)]
    found = explore(ThompsonSampling(), ThompsonSampling().start(), RANKED, (), fresh, n=10, most_generated=5, seed=1)
    assert [t.item_id for t in found.trials] == ["new"]


def test_no_cap_or_nothing_new_leaves_the_list_alone() -> None:
    policy = ThompsonSampling()
    for fresh, cap, slots in ((FRESH, 0, 1), ([], 3, 1), (FRESH, 3, 0)):
        options = ExplorationOptions(slots=slots)
        found = explore(policy, policy.start(), RANKED, (), fresh, n=10, most_generated=cap, seed=1, options=options)
        assert found.items == tuple(RANKED)
        assert found.trials == ()


def test_a_linucb_tries_the_nearer_item_after_learning_that_nearness_pays() -> None:
    policy = LinUcb(FRESH_FEATURES, shared=True, floor=0.01)
    log = [Feedback(f"x-{i}", float(i > 5), FreshItem("", 0.1 * i).features) for i in range(10)] * 20
    found = explore(policy, replay(policy, log), RANKED, (), FRESH, n=10, most_generated=3, seed=4)
    assert found.trials[0].item_id == "new-5"
    assert choose(policy, policy.start(), generation_arms({"a@1": ["class"]}, (1.0,) * 5), 0).propensity == 1.0


def test_a_list_that_came_out_short_keeps_its_share() -> None:
    policy = ThompsonSampling()
    for length, share, tried in ((2, 0.3, 0), (3, 0.3, 1), (9, 0.3, 2), (9, 0.1, 1)):
        found = explore(
            policy,
            policy.start(),
            RANKED[:length],
            (),
            FRESH,
            n=20,
            most_generated=6,
            most_share=share,
            seed=1,
            options=ExplorationOptions(slots=2),
        )
        assert len(found.trials) == tried
        assert len(found.trials) <= share * len(found.items) + 1e-9


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.booleans(), max_size=12),
    st.integers(0, 12),
    st.integers(0, 5),
    st.integers(1, 12),
    st.integers(0, 12),
    st.integers(0, 12),
)
def test_no_list_is_longer_or_more_generated_than_allowed_and_none_repeats(
    made: list[bool], cap: int, slots: int, n: int, first: int, fresh: int
) -> None:
    ranked = [f"item-{i}" for i in range(len(made))][:n]
    kept, generated = [], set()
    for item, is_made in zip(ranked, made, strict=False):
        if is_made and len(generated) == cap:
            continue
        kept.append(item)
        generated |= {item} if is_made else set()
    items = [FreshItem(f"new-{i}", 0.5) for i in range(fresh)]
    options = ExplorationOptions(slots, first)
    policy = ThompsonSampling()
    found = explore(policy, policy.start(), kept, generated, items, n=n, most_generated=cap, seed=3, options=options)
    assert len(found.items) <= n
    assert len(set(found.items)) == len(found.items) >= len(kept)
    assert sum(i in generated or i.startswith("new") for i in found.items) <= cap
    assert len(found.trials) == min(slots, cap, fresh, n)
    assert all(found.items[t.place] == t.item_id for t in found.trials)
