from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from aigc.entities import Creation, Event, Preferences
from aigc.errors import InvalidInputError
from aigc.recommend.request import RecommendRequest
from aigc.services.active_users import ActiveUsers
from aigc.services.background import Background
from aigc.services.background_options import BackgroundOptions
from aigc.services.creation_steps import CreationOrder
from aigc.services.platform import Platform
from aigc.store.base import EventBatch
from aigc_server.app import open_platform
from aigc_server.settings import Settings
from tests.services.local_studio import LocalStudio
from tests.services.stroke_home import THIN, make_stroke_home

RICH = THIN.replace("least_relevance = 1.0", "least_relevance = 0.0\nleast_coverage = 0.0\nenough_items = 1")
HOUR_S = 3600.0


@pytest.fixture(scope="module")
def made_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("background")
    make_stroke_home(home)
    return home


class World:
    """A platform, a studio in this process, a worker that is stepped by hand, and a clock."""

    def __init__(self, home: Path, **options: Any) -> None:
        import time

        self.now = time.time()
        self.platform: Platform = open_platform(Settings(), home)
        self.studio = LocalStudio(home)
        self.platform.creator.studio = self.studio
        self.background = self.worker(**options)
        self.strategy(THIN)
        self.count = 0

    def worker(self, **options: Any) -> Background:
        p = self.platform
        chosen = BackgroundOptions(**{"background": True} | options)
        weights = p.options.weights
        made = Background(p.store, p.creator, p.strategies, weights, p.foreground, chosen, clock=lambda: self.now)
        p.background = made
        return made

    def strategy(self, text: str, name: str = "default") -> None:
        folder = self.platform.home / "strategies"
        folder.mkdir(exist_ok=True)
        (folder / f"{name}.toml").write_text(text)
        self.platform.strategies.reload()

    def likes(
        self, user: str, n: int = 4, event_type: str = "like", items: list[str] | None = None, ago_s: float = 0
    ) -> None:
        self.count += 1
        names = items or [f"stroke-{i}" for i in range(n)]
        events = [
            Event(f"{user}-{self.count}-{i}", user, name, event_type, int((self.now - ago_s) * 1000))
            for i, name in enumerate(names)
        ]
        self.platform.behaviour.record(events)

    def made(self, user: str = "", state: str = "admitted") -> list[Creation]:
        return self.platform.store.creations.list(user_id=user, state=state)

    def skip(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def world(made_home: Path, tmp_path: Path) -> Iterator[World]:
    home = tmp_path / "home"
    shutil.copytree(made_home, home)
    world = World(home)
    yield world
    world.platform.close()


def test_a_gap_of_an_active_user_is_filled_before_the_user_asks(world: World) -> None:
    world.likes("ann")
    assert world.background.step() == 60
    assert len(world.made("ann")) == 2
    status = world.background.status()
    assert (status.state, status.users, status.looked_at, status.attempts, status.admitted) == ("waiting", 1, 1, 1, 2)
    assert status.items_left == 58
    shown = world.platform.recommender.recommend(RecommendRequest(user_id="ann", n=20))
    assert {c.item_id for c in world.made()} & {i.item_id for i in shown.items}


def test_a_deleted_or_hidden_creation_is_tried_no_more_and_the_others_are(world: World) -> None:
    world.strategy(THIN.replace("enabled = true", "enabled = true\nexplore_slots = 1").replace('"popular"', '"fresh"'))
    world.background = world.worker(items=4)
    world.likes("ann")
    world.background.step()
    gone, hidden, *left = [c.item_id for c in world.made("ann")]
    platform = world.platform
    platform.catalog.delete([gone])
    platform.catalog.update(replace(platform.catalog.get([hidden])[0], hidden=True), ["hidden"])
    shown = set()
    for n in range(20):
        answer = platform.recommender.recommend(RecommendRequest(user_id="ann", n=4, deny=(f"none-{n}",)))
        shown |= {i.item_id for i in answer.items if i.generated}
    assert shown
    assert shown <= set(left)
    record = platform.creations.get(gone)
    assert (record.item_id, record.state) == (gone, "admitted")
    same, item = platform.creator.regenerate(gone)
    assert same, "a record makes its item again, though it was deleted"
    assert item.id == gone


def test_a_gap_is_filled_once_until_the_profile_changes(world: World) -> None:
    world.likes("ann")
    world.background.step()
    orders = world.studio.orders
    for _ in range(3):
        world.skip(60)
        world.background.step()
    world.likes("ann", event_type="impression")
    world.background.step()
    assert world.studio.orders == orders, "what weighs nothing changes no profile"
    world.skip(1)
    world.likes("ann", items=["stroke-9"])
    world.background.step()
    assert len(world.made("ann")) == 4


def test_what_a_caller_had_made_fills_the_gap_too(world: World) -> None:
    world.likes("ann")
    list(world.platform.creator.generate_for(CreationOrder("ann", 1)))
    world.background.step()
    assert len(world.made("ann")) == 2, "one asked for, and one more"
    orders = world.studio.orders
    world.background = world.worker()
    world.background.step()
    assert (len(world.made("ann")), world.studio.orders) == (2, orders), "nor twice after a restart"


def test_users_of_before_the_start_are_known(world: World) -> None:
    world.likes("ann")
    world.skip(5)
    world.likes("bob", event_type="impression")
    world.background = world.worker()
    world.likes("cat")
    world.background.step()
    assert {c.user_id for c in world.made()} == {"ann", "cat"}
    assert world.background.status().users == 2, "bob has no profile to speak of"


def test_nothing_is_made_for_who_left_long_ago_or_declined_or_lacks_nothing(world: World) -> None:
    world.likes("gone", ago_s=25 * HOUR_S)
    world.likes("shy")
    world.platform.profiles.update_preferences(Preferences("shy", allow_generated=False), ["allow_generated"])
    world.background.step()
    assert world.background.status().looked_at == 1
    world.strategy(RICH)
    world.likes("rich", n=3)
    world.background.step()
    assert not world.made()
    assert world.studio.orders == 0


def test_a_strategy_must_want_it(world: World) -> None:
    world.strategy(THIN.replace("background = true", "background = false"))
    world.likes("ann")
    world.background.step()
    assert world.background.status().looked_at == 0
    world.strategy(THIN)
    world.background.step()
    assert len(world.made("ann")) == 2, "a strategy that wants it now is heard at the next round"


def test_a_waiting_caller_comes_first(world: World) -> None:
    world.likes("ann")
    with world.platform.foreground.call():
        assert world.background.step() < 1
        assert world.background.status().state == "yielding"
    assert world.studio.orders == 0
    caller = world.platform.foreground.call()
    world.studio.before = lambda: caller.__enter__() if world.studio.orders == 1 else None
    world.strategy(
        THIN.replace("candidates = 2", "candidates = 1\nduplicate_distance = 1000.0").replace(
            "\nduplicate_distance = 0.0", ""
        )
    )
    world.background.step()
    assert world.studio.orders == 1, "a caller who comes between two batches is not kept waiting for the second"
    assert world.background.status().state == "yielding"
    caller.__exit__(None, None, None)
    world.background.step()
    assert world.studio.orders > 1, "the gap is still there"


def test_it_backs_off_while_the_generator_is_down_and_goes_on_after(world: World) -> None:
    world.likes("ann")
    world.studio.down = True
    first = world.background.step()
    assert world.background.status().state == "paused"
    assert "died" in world.background.status().detail
    world.skip(first / 2)
    assert world.background.step() == pytest.approx(first / 2)
    assert world.studio.orders == 1
    world.skip(first / 2 + 1)
    assert world.background.step() == 2 * first
    world.studio.down = False
    world.skip(2 * first + 1)
    world.background.step()
    assert len(world.made("ann")) == 2
    assert world.background.status().state == "waiting"


def test_the_budget_of_an_hour_is_kept(world: World) -> None:
    world.background = world.worker(items_per_hour=3)
    for user in ("ann", "bob", "cat"):
        world.likes(user)
    world.background.step()
    assert len(world.made()) == 3
    assert "creation.items_per_hour" in world.background.status().detail
    assert world.background.status().items_left == 0
    world.skip(HOUR_S + 1)
    world.background.step()
    assert len(world.made()) == 6


def test_time_spent_counts_against_the_budget(world: World) -> None:
    world.background = world.worker(seconds_per_hour=10)
    world.studio.before = lambda: world.skip(11)
    world.likes("ann")
    world.likes("bob")
    world.background.step()
    assert {c.user_id for c in world.made()} == {"bob"}, "who was here last comes first"
    assert "creation.seconds_per_hour" in world.background.status().detail


def test_quotas_of_the_strategy_hold_and_are_looked_at_again_later(world: World) -> None:
    world.strategy(THIN + "per_user_day = 1\n")
    world.likes("ann")
    world.background.step()
    world.skip(600)
    world.likes("ann", items=["stroke-9"])
    world.background.step()
    looked = world.background.status().looked_at
    world.background.step()
    assert world.background.status().looked_at == looked
    world.skip(HOUR_S)
    world.background.step()
    assert world.background.status().looked_at == looked + 1


def test_review_before_leaves_what_is_made_in_the_queue(world: World) -> None:
    world.strategy(THIN + 'review = "before"\n')
    world.likes("ann")
    world.background.step()
    assert len(world.made("ann", "pending")) == 2
    assert world.background.status().admitted == 2


def test_a_round_looks_at_no_more_users_than_it_may(world: World) -> None:
    world.background = world.worker(users=2, items=1)
    for n in range(5):
        world.likes(f"u{n}")
    world.background.step()
    assert {c.user_id for c in world.made()} == {"u4", "u3"}
    world.background.step()
    world.background.step()
    assert len({c.user_id for c in world.made()}) == 5


def test_an_unknown_strategy_is_told_and_tried_again_later(world: World) -> None:
    world.background = world.worker(strategy="nightly")
    world.likes("ann")
    world.background.step()
    assert "'nightly' does not exist" in world.background.status().detail
    world.strategy(THIN, "nightly")
    world.skip(HOUR_S)
    world.background.step()
    assert len(world.made("ann")) == 2


def test_it_ends_at_once_and_is_off_by_default(world: World) -> None:
    world.background.start()
    world.background.close()
    assert world.background.status().state == "off"
    silent = world.worker(background=False)
    silent.start()
    world.likes("ann")
    assert silent.status() == silent.status()
    assert (silent.status().state, silent.status().users) == ("off", 0)


@pytest.mark.parametrize(
    ("name", "value"),
    [("interval_ms", 0), ("users", 0), ("items", 65), ("items_per_hour", -1), ("active_hours", 0.0)],
)
def test_settings_without_a_meaning_are_refused(name: str, value: float) -> None:
    with pytest.raises(InvalidInputError, match=f"creation.{name} is {value!r}") as caught:
        BackgroundOptions(**{name: value})  # type: ignore[arg-type]
    assert caught.value.field == f"creation.{name}"


def test_of_very_many_users_those_who_came_last_are_known() -> None:
    users = ActiveUsers()
    n = 10_050
    names = [f"u{i}" for i in range(n)]
    batch = EventBatch(np.arange(1, n + 1), names, names, ["like"] * n, np.full(n, np.nan), np.full(n, 5))
    users.note(batch, [1.0] * n, now_ms=3)
    found = users.since(3)
    assert (len(found), found[0].user_id, found[0].seen_ms) == (10_000, names[-1], 3)
