"""Weights, interactions and profiles."""

from __future__ import annotations

import numpy as np
import pytest

from aigc.entities import Event, Item, Preferences
from aigc.errors import InvalidInputError
from aigc.profiles.build import build_profile
from aigc.profiles.interactions import collect_interactions
from aigc.profiles.weights import EventWeights
from aigc.store.base import EventBatch

DAY = 86_400_000


def batch(*events: tuple[str, str, str, float, int], first: int = 1) -> EventBatch:
    users, items, types, values, times = zip(*events, strict=True)
    seqs = np.arange(first, first + len(events), dtype=np.int64)
    return EventBatch(seqs, users, items, types, np.array(values), np.array(times, np.int64))


def test_stars_scale_a_rating_around_neutral() -> None:
    weights = EventWeights().weigh(["rating"] * 4 + ["like", "unheard of"], np.array([5, 0.5, 4, np.nan, np.nan, 1]))
    assert weights[0] == 1
    assert weights[1] == -1
    assert 0 < weights[2] < 1
    assert weights[4] == np.float32(0.8)
    assert weights[5] == 0
    with pytest.raises(InvalidInputError, match="known types: click, comment"):
        EventWeights().check_type("teleport", "events[0].type")


def test_interactions_stand_by_user_and_time_and_leave_out_what_is_unknown() -> None:
    nan = float("nan")
    read = [
        batch(("u", "a", "like", nan, 9 * DAY), ("v", "b", "like", nan, DAY), ("u", "gone", "like", nan, 1)),
        batch(("u", "b", "dislike", nan, 2 * DAY), ("v", "a", "impression", nan, 3 * DAY), first=4),
    ]
    got = collect_interactions(read, {"a": 0, "b": 1}, EventWeights())
    assert got.user_ids == ["u", "v"]
    assert got.items.tolist() == [1, 0, 1]
    assert got.offsets.tolist() == [0, 2, 3]
    assert got.last_seq == 5
    assert got.events == 5
    newest = got.newest(1)
    assert newest.items.tolist() == [0, 1]
    assert got.matrix(2).toarray().tolist() == [[np.float32(0.8), 0], [0, np.float32(0.8)]]


def test_a_profile_leans_to_what_was_liked_lately_and_forgets_slowly() -> None:
    items = {n: Item(n, categories=(n,)) for n in ("old", "new", "bad")}
    events = [
        Event("1", "u", "old", "like", 0),
        Event("2", "u", "bad", "dislike", 50 * DAY),
        Event("3", "u", "new", "like", 90 * DAY),
        Event("4", "u", "gone", "like", 90 * DAY),
    ]
    wishes = Preferences("u", {"declared": 1.0})
    profile = build_profile("u", events, items, wishes, EventWeights(), np.empty(0, np.float32))
    shares = {a.category: a.weight for a in profile.affinities}
    assert sum(shares.values()) == pytest.approx(1)
    assert shares["new"] == pytest.approx(2 * shares["old"])
    assert set(shares) == {"declared", "new", "old"}
    assert profile.event_count == 4
    again = build_profile("u", events, items, wishes, EventWeights(), np.empty(0, np.float32))
    assert again == profile
    empty = build_profile("nobody", [], {}, Preferences("nobody"), EventWeights(), np.empty(0, np.float32))
    assert empty.affinities == ()
