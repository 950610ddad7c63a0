"""Weights, interactions and profiles."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from aigc.entities import Event, Item, Preferences
from aigc.errors import InvalidInputError
from aigc.profiles.build import ProfileModels, build_profile
from aigc.profiles.interactions import collect_interactions
from aigc.profiles.weights import EventWeights
from aigc.services.platform import Platform
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


class Model:
    categories = ("cats", "cars")

    def topics(self, texts):  # type: ignore[no-untyped-def]
        return np.array([["cat" in t, "car" in t] for t in texts], np.float32)


def a_life() -> tuple[list[Event], dict[str, Item]]:
    items = {f"s{k}": Item(f"s{k}", title=f"space {k}", categories=("sci-fi",), tags=("space",)) for k in range(10)}
    items |= {f"d{k}": Item(f"d{k}", title=f"true {k}", categories=("documentary",), author="Ann") for k in range(10)}
    items |= {f"h{k}": Item(f"h{k}", title=f"fear {k}", categories=("horror",)) for k in range(5)}
    events = [Event(f"a{k}", "u", f"s{k}", "like", (60 + 20 * k) * DAY) for k in range(10)]
    events += [Event(f"b{k}", "u", f"h{k}", "dislike", (61 + 20 * k) * DAY) for k in range(5)]
    events += [Event(f"c{k}", "u", f"d{k}", "like", (290 + k) * DAY) for k in range(8)]
    events.append(Event("t", "u", "s1", "comment", 299 * DAY, text="my cat loves it"))
    return sorted(events, key=lambda e: e.time_ms), items


def test_a_profile_says_in_two_languages_what_it_rests_on() -> None:
    events, items = a_life()
    rows = {i: np.eye(3, dtype=np.float32)["sdh".index(i[0])] for i in items}
    models = ProfileModels(lambda ids: np.stack([rows[i] for i in ids]), Model(), lambda _: 1.0)
    said = Preferences("u", interests={"jazz": 1.0}, dislikes=("war",))
    profile = build_profile("u", events, items, said, EventWeights(), np.empty(0, np.float32), models)
    english = [s.english for s in profile.statements]
    assert english[0].startswith("mostly documentary and sci-fi since March 1970")
    assert "likes horror less than the rest" in english
    assert "writes fondly about cats (100% of the comments' content)" in english
    assert english[-2:] == ["says: likes jazz", "says: no war"]
    assert all(s.chinese and s.chinese != s.english for s in profile.statements)
    assert profile.statements[0].item_ids[0].startswith(("s", "d"))
    assert [t.names[0] for t in profile.tastes] == ["documentary", "sci-fi"]
    assert profile.authors[0].name == "Ann"
    assert profile.activity is not None
    assert profile.activity.sessions == 24
    assert profile.categories[0].recent > profile.categories[1].recent


def test_a_profile_of_nothing_says_nothing() -> None:
    profile = build_profile("u", [], {}, Preferences("u"), EventWeights(), np.empty(0, np.float32), ProfileModels())
    assert (profile.statements, profile.tastes, profile.topics, profile.activity) == ((), (), (), None)


def test_a_profile_follows_an_event_at_once_and_is_rebuilt_to_the_same_value(tmp_path: Path) -> None:
    events, items = a_life()
    platform = Platform.open(tmp_path)
    platform.catalog.upsert(list(items.values()))
    for _ in platform.build():
        pass
    platform.live.publish()
    for event in events:
        platform.behaviour.record([event])
        assert platform.profiles.get("u").event_count == events.index(event) + 1
    running = platform.profiles.get("u")
    platform.close()
    again = Platform.open(tmp_path)
    assert again.profiles.get("u") == running
    assert running.tastes
    assert running.topics
    again.close()
