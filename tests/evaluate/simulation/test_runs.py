"""Runs over time: paired, counted, compared; on servers that are scripted."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from aigc.entities import Item
from aigc.errors import CorruptDataError, InvalidInputError
from aigc.evaluate.simulation.comparison import band, compare_pairs, mean_of
from aigc.evaluate.simulation.plots import draw_comparison
from aigc.evaluate.simulation.population import PopulationOptions, draw_population
from aigc.evaluate.simulation.runner import RunOptions, past_events, run
from aigc.evaluate.simulation.toy import TOY_ASPECTS, WordReader, toy_world
from aigc.evaluate.simulation.trace import Trace
from aigc.evaluate.simulation.world import World, pick
from tests.evaluate.simulation.clients import ScriptedClient

OPTIONS = PopulationOptions(users=8)
ROUNDS = 5


def society(seed: int = 0) -> Any:
    return draw_population(OPTIONS, len(TOY_ASPECTS), ROUNDS, seed)


def test_the_same_lists_get_the_same_answers() -> None:
    world, population = toy_world(4, 0), society()
    first, second = (run(world, population, ScriptedClient(world), RunOptions(n=5)) for _ in range(2))
    assert first.to_json() == second.to_json()


def test_knowing_the_tastes_beats_showing_anything() -> None:
    world = toy_world(20, 0)
    traces: dict[str, list[Trace]] = {"anything": [], "known": []}
    for seed in range(4):
        population = society(seed)
        traces["anything"].append(run(world, population, ScriptedClient(world), RunOptions(n=5)))
        traces["known"].append(run(world, population, ScriptedClient(world, population), RunOptions(n=5)))
    found = compare_pairs(traces, "known", "anything")
    assert found.difference.low > 0
    assert found.wins == found.seeds == 4
    assert found.relative > 0.5
    assert traces["known"][0].on_taste.sum() > 2 * traces["anything"][0].on_taste.sum()


def test_what_is_generated_is_read_once_by_the_simulators_own_eye_and_counted() -> None:
    world, population = toy_world(1, 0), society()
    client = ScriptedClient(world, population, cap=0.4)
    read: list[str] = []

    class Counting(WordReader):
        def read(self, items: Any) -> Any:
            read.extend(i.id for i in items)
            return super().read(items)

    trace = run(world, population, client, RunOptions(n=5, generate_every=2, cap=0.4), Counting())
    assert len(read) == len(set(read)) > 0
    assert trace.admitted[0] == trace.visits[0]
    assert trace.admitted[1] == 0
    assert trace.refused.sum() == 2 * trace.admitted.sum()
    assert trace.generated.sum() > 0
    assert trace.generated_clicks.sum() <= trace.clicks.sum()
    assert trace.largest_share.max() <= 0.4
    assert trace.over_cap.sum() == 0


def test_a_list_over_the_cap_is_noticed() -> None:
    world, population = toy_world(1, 0), society()
    client = ScriptedClient(world, population, cap=0.4)
    trace = run(world, population, client, RunOptions(n=5, generate_every=1, cap=0.2), WordReader())
    assert trace.over_cap.sum() > 0


def test_generation_pays_where_the_catalogue_is_thin() -> None:
    world, traces = toy_world(2, 0), {"without": [], "with": []}  # type: ignore[var-annotated]
    for seed in range(4):
        population = society(seed)
        for name, every in (("without", 0), ("with", 1)):
            client = ScriptedClient(world, population, cap=0.4)
            traces[name].append(
                run(world, population, client, RunOptions(n=5, generate_every=every, cap=0.4), WordReader())
            )
    assert compare_pairs(traces, "with", "without").difference.low > 0


def test_an_unknown_item_without_a_reader_is_an_error() -> None:
    world, population = toy_world(1, 0), society()
    with pytest.raises(InvalidInputError, match="no reader"):
        run(world, population, ScriptedClient(world, population, cap=0.4), RunOptions(n=5, generate_every=1))


def test_the_past_is_the_same_for_every_strategy_and_lies_before_the_start() -> None:
    world, population = toy_world(4, 0), society()
    events = past_events(world, population, 3, RunOptions(n=5))
    assert events == past_events(world, population, 3, RunOptions(n=5))
    assert max(e.time_ms for e in events) < RunOptions().start_ms
    assert {e.user_id for e in events} == set(population.user_ids)
    assert past_events(world, population, 0) == []


def test_a_trace_survives_json_and_a_broken_one_is_refused() -> None:
    world, population = toy_world(4, 0), society()
    trace = run(world, population, ScriptedClient(world))
    raw = json.loads(json.dumps(trace.to_json()))
    assert Trace.from_json(raw).to_json() == trace.to_json()
    for broken in ({}, {**raw, "clicks": raw["clicks"][:2]}, {**raw, "clicks": ["x"]}):
        with pytest.raises(CorruptDataError, match="run it again"):
            Trace.from_json(broken)


def test_expected_clicks_are_what_clicks_come_to() -> None:
    world = toy_world(20, 0)
    traces = [run(world, society(s), ScriptedClient(world, society(s)), RunOptions(n=5)) for s in range(15)]
    clicks, expected = sum(t.clicks.sum() for t in traces), sum(t.expected.sum() for t in traces)
    assert abs(clicks - expected) < 4 * np.sqrt(expected)
    assert traces[0].mean_clicks == pytest.approx(traces[0].clicks.sum() / traces[0].visits.sum())


def test_intervals_are_students() -> None:
    found = mean_of([1.0, 2.0, 3.0, 4.0])
    assert found.value == 2.5
    assert found.high - found.value == pytest.approx(3.182446 * np.std([1, 2, 3, 4], ddof=1) / 2, rel=1e-5)
    assert mean_of([1.0]).high == np.inf
    with pytest.raises(InvalidInputError, match="no seed"):
        band(np.empty((0, 3)))


def test_strategies_with_other_seeds_are_not_paired() -> None:
    with pytest.raises(InvalidInputError, match="and b 2"):
        compare_pairs({"a": [Trace.empty(1)], "b": [Trace.empty(1)] * 2}, "a", "b")


def test_the_plot_is_a_picture(tmp_path: Path) -> None:
    world = toy_world(2, 0)
    traces: dict[str, list[Trace]] = {"still": [], "loop": []}
    for seed in range(3):
        population = society(seed)
        for name, every in (("still", 0), ("loop", 1)):
            client = ScriptedClient(world, population, cap=0.4)
            options = RunOptions(n=5, generate_every=every, cap=0.4)
            traces[name].append(run(world, population, client, options, WordReader()))
    path = draw_comparison(traces, tmp_path / "a" / "b.png", title="toy", baseline="still", caps={"loop": 0.4})
    with Image.open(path) as picture:
        assert picture.size[1] > picture.size[0]


def test_a_catalogue_has_as_many_of_each_aspect_and_another_seed_draws_others() -> None:
    labels = np.arange(60) % 3
    rows = pick(labels, 5, 3, np.random.default_rng(0))
    assert np.bincount(labels[rows]).tolist() == [5, 5, 5]
    assert sorted(rows.tolist()) != sorted(pick(labels, 5, 3, np.random.default_rng(1)).tolist())
    assert len(pick(labels, 500, 3, np.random.default_rng(0))) == 60
    assert [i.categories for i in toy_world(3, 0).items] != [i.categories for i in toy_world(3, 1).items]


def test_words_are_read_and_silence_shows_all_alike() -> None:
    world = toy_world(3, 0)
    assert np.array_equal(WordReader().read(world.items).argmax(axis=1), world.shows.argmax(axis=1))
    assert WordReader().read([Item("x", title="nothing")])[0].tolist() == [1 / 6] * 6


def test_a_truth_of_another_shape_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="truth of shape"):
        World("toy", ("a",), (Item("x"),), np.ones((2, 1)))
    for options in ({"n": 0}, {"cap": 2.0}, {"generate_every": -1}):
        with pytest.raises(InvalidInputError, match="give"):
            RunOptions(**options)  # type: ignore[arg-type]
    with pytest.raises(InvalidInputError, match="items a taste"):
        pick(np.zeros(3, np.int64), 0, 1, np.random.default_rng(0))
