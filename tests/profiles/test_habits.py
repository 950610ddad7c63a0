"""When a user acts."""

from __future__ import annotations

import numpy as np

from aigc.entities import Event, Item, Preferences
from aigc.profiles.affinity import aversions
from aigc.profiles.build import build_profile
from aigc.profiles.evidence import Evidence
from aigc.profiles.habits import busy_hours
from aigc.profiles.weights import EventWeights

HOUR, DAY = 3_600_000, 86_400_000


def evidence(times: list[int]) -> Evidence:
    events = [Event(str(n), "u", f"i{n}", "like", t) for n, t in enumerate(sorted(times))]
    return Evidence.of(events, {}, EventWeights())


def test_hours_are_named_only_when_they_hold_more_than_half() -> None:
    evenings = [day * DAY + hour * HOUR for day in range(10) for hour in (22, 23, 1)]
    assert busy_hours(evidence(evenings)) == (22, 2)
    assert busy_hours(evidence([day * DAY + (7 * day % 24) * HOUR for day in range(24)])) is None


def test_one_long_evening_makes_no_habit() -> None:
    assert busy_hours(evidence([20 * HOUR + n for n in range(500)])) is None
    elsewhen = [day * DAY + (day * 5 % 20) * HOUR for day in range(20)]
    assert busy_hours(evidence(elsewhen + [30 * DAY + 21 * HOUR + n for n in range(500)])) is None


def test_a_habit_is_said_in_grammar_and_a_rare_tag_is_not_said_at_all() -> None:
    items = {f"i{n}": Item(f"i{n}", tags=("mine",) if n < 3 else ()) for n in range(100)}
    events = [Event(str(n), "u", f"i{n}", "like", n) for n in range(100)]
    profile = build_profile("u", events, items, Preferences("u"), EventWeights(), np.empty(0, np.float32))
    assert [s.english for s in profile.statements] == ["active on 1 day in 1 sitting; mostly new items"]
    few = build_profile("u", events[:10], items, Preferences("u"), EventWeights(), np.empty(0, np.float32))
    assert few.statements[0].english == "often chooses what is tagged mine"


def test_an_event_that_speaks_for_two_categories_is_counted_once() -> None:
    items = {f"i{n}": Item(f"i{n}", categories=("a", "b")) for n in range(6)}
    events = [Event(str(n), "u", f"i{n}", "like", n) for n in range(6)]
    profile = build_profile("u", events, items, Preferences("u"), EventWeights(), np.empty(0, np.float32))
    assert profile.statements[0].events == 6


def test_what_chance_explains_is_no_aversion() -> None:
    items = {f"i{n}": Item(f"i{n}", categories=("odd" if n < 4 else "rest",)) for n in range(40)}
    stars = [1.0, 5.0, 1.0, 5.0] + [5.0, 4.0, 3.0, 4.0] * 9
    events = [Event(str(n), "u", f"i{n}", "rating", n, s) for n, s in enumerate(stars)]
    assert aversions(Evidence.of(events, items, EventWeights())) == ()
    events[:4] = [Event(str(n), "u", f"i{n}", "rating", n, 2.0) for n in range(4)]
    assert [a.name for a in aversions(Evidence.of(events, items, EventWeights()))] == ["odd"]
