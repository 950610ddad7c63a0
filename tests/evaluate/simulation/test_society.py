"""Users, their tastes and their clicks: fixed by a seed, open to inspection, and as they were said to be."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from aigc.errors import InvalidInputError
from aigc.evaluate.simulation.click_model import ClickModel, Mood
from aigc.evaluate.simulation.client import Answer
from aigc.evaluate.simulation.population import PopulationOptions, draw_population
from aigc.evaluate.simulation.visit import Memory, visit

STILL = PopulationOptions(users=30, drift=0.0, activity=1.0)


def mood(liking: list[float], weariness: float = 0.0, curiosity: float = 0.0, met: float = 0.0) -> Mood:
    n = len(liking)
    return Mood(np.array(liking), np.full(n, weariness), curiosity, np.full(n, met))


ONE, OTHER = np.eye(2)


def chance(model: ClickModel, state: Mood, shows: Any, times: int = 0) -> float:
    return float(model.click(state, np.array([shows]), np.array([times]))[0])


def test_a_society_is_its_seed() -> None:
    one, same, other = (draw_population(PopulationOptions(users=9), 10, 7, seed) for seed in (4, 4, 5))
    for name in ("liking", "curiosity", "active"):
        assert np.array_equal(getattr(one, name), getattr(same, name))
    assert not np.array_equal(one.liking, other.liking)
    assert np.array_equal(one.chances(3, 2, 6), same.chances(3, 2, 6))
    assert not np.array_equal(one.chances(3, 2, 6), one.chances(3, 1, 6))
    assert np.array_equal(one.chances(3, 2, 6)[:4], one.chances(3, 2, 4))


def test_every_user_has_the_tastes_that_were_asked_for() -> None:
    population = draw_population(STILL, 10, 5, 0)
    assert ((population.liking > 0.5).sum(axis=2) == 2).all()
    assert (population.liking.max(axis=2) == 1).all()
    assert np.array_equal(population.liking[0], population.liking[-1])


def test_drift_changes_some_tastes_and_never_their_number() -> None:
    population = draw_population(PopulationOptions(users=200, drift=0.05), 10, 20, 0)
    assert ((population.liking > 0.5).sum(axis=2) == 2).all()
    moved = (population.liking[0] != population.liking[-1]).any(axis=1).mean()
    assert 0.4 < moved < 0.75


def test_the_click_falls_with_weariness_repetition_and_place_and_rises_with_liking() -> None:
    model = ClickModel()
    best = chance(model, mood([1.0, 0.0]), ONE)
    assert best == pytest.approx(model.most)
    assert chance(model, mood([1.0, 0.0]), OTHER) == pytest.approx(model.least)
    assert model.least < chance(model, mood([0.5, 0.0]), ONE) < best
    assert chance(model, mood([1.0, 0.0], weariness=1.0), ONE) < 0.5 * best
    assert chance(model, mood([1.0, 0.0]), ONE, times=2) == pytest.approx(best * model.again**2)
    assert (np.diff(model.attention(8)) < 0).all()


def test_the_curious_like_what_they_have_not_met() -> None:
    model = ClickModel()
    plain = chance(model, mood([1.0, 0.0]), OTHER)
    assert chance(model, mood([1.0, 0.0], curiosity=0.5), OTHER) > 5 * plain
    assert chance(model, mood([1.0, 0.0], curiosity=0.5, met=8.0), OTHER) < 1.1 * plain


def test_what_cannot_be_read_is_clicked_like_the_average_of_everything() -> None:
    model, state = ClickModel(), mood([1.0, 0.05])
    blurred = chance(model, state, np.array([0.5, 0.5]))
    assert chance(model, state, OTHER) < blurred < chance(model, state, ONE)


def test_a_visit_tells_the_server_what_happened_and_tires_the_user() -> None:
    population = draw_population(STILL, 2, 1, 3)
    shows = np.array([ONE, OTHER] * 4)
    answer = Answer("rec", tuple(f"i{k}" for k in range(8)), (False,) * 8)
    memory = Memory.fresh(2)
    done = visit(population, ClickModel(), memory, 0, 5, answer, shows, 1_000_000)
    impressions = [e for e in done.events if e.type == "impression"]
    assert memory.times.total() == len(impressions) == round(memory.met.sum())
    assert memory.weariness.sum() == pytest.approx(STILL.fatigue * len(impressions))
    assert {e.item_id for e in done.events if e.type == "click"} == {
        i for i, c in zip(answer.item_ids, done.clicked, strict=True) if c
    }
    assert len({e.id for e in done.events}) == len(done.events)
    assert all(e.recommendation_id == "rec" and e.user_id == "user-0005" for e in done.events)
    assert all(e.time_ms >= 1_000_000 for e in done.events)


def test_clicks_come_as_often_as_the_truth_says() -> None:
    population = draw_population(PopulationOptions(users=1, drift=0, activity=1), 2, 3000, 1)
    answer, shows = Answer("", tuple("abcd"), (False,) * 4), np.array([ONE, OTHER, ONE, OTHER])
    clicked, expected = np.zeros(4), np.zeros(4)
    for round_ in range(3000):
        done = visit(population, ClickModel(), Memory.fresh(2), round_, 0, answer, shows, 0)
        clicked += done.clicked
        expected += done.chances
    assert np.abs(clicked - expected).max() < 4 * np.sqrt(3000 * 0.25)


@pytest.mark.parametrize(
    "make",
    [
        lambda: PopulationOptions(users=0),
        lambda: PopulationOptions(tastes=0),
        lambda: PopulationOptions(drift=1.5),
        lambda: PopulationOptions(recovery=1.0),
        lambda: PopulationOptions(activity=0.0),
        lambda: PopulationOptions(fatigue=float("nan")),
        lambda: ClickModel(least=0.7),
        lambda: ClickModel(again=2),
        lambda: ClickModel(decay=-1),
        lambda: draw_population(PopulationOptions(tastes=3), 2, 5, 0),
        lambda: draw_population(PopulationOptions(), 2, 0, 0),
    ],
)
def test_what_has_no_meaning_is_refused(make: Any) -> None:
    with pytest.raises(InvalidInputError):
        make()
