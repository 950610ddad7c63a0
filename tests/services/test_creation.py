"""Making things for a user, without a server."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from aigc.entities import Event, Item
from aigc.errors import ConflictError
from aigc.services.creation_steps import CreationOrder
from aigc.services.platform import Platform
from aigc_server.app import open_platform
from aigc_server.settings import Settings
from tests.services.local_studio import LocalStudio
from tests.services.stroke_home import THIN, make_stroke_home

USERS = ("ann", "bob")


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    home = tmp_path_factory.mktemp("creation")
    make_stroke_home(home)
    (home / "strategies").mkdir(exist_ok=True)
    (home / "strategies" / "default.toml").write_text(THIN)
    platform = open_platform(Settings(), home)
    platform.creator.studio = LocalStudio(home)
    now = int(time.time() * 1000)
    platform.behaviour.record([Event(f"{u}-{i}", u, f"stroke-{i}", "like", now) for u in USERS for i in range(4)])
    yield platform
    platform.close()


def test_one_call_at_a_time_for_a_user(platform: Platform) -> None:
    first = platform.creator.generate_for(CreationOrder("ann", 1))
    assert next(first).decision is not None
    with pytest.raises(ConflictError, match="for user 'ann' already") as refused:
        next(platform.creator.generate_for(CreationOrder("ann", 1)))
    assert refused.value.reason == "GENERATION_RUNNING"
    assert [s.item for s in platform.creator.generate_for(CreationOrder("bob", 1)) if s.item], "another user can"
    asked = list(platform.creator.generate_for(CreationOrder("ann", 1, dry_run=True)))
    assert [step.decision is not None for step in asked] == [True], "the decision alone can be asked for"
    assert [s.item for s in first if s.item]
    assert [s.item for s in platform.creator.generate_for(CreationOrder("ann", 1)) if s.item], "it has ended"


def test_a_call_that_is_dropped_lets_the_next_one_in(platform: Platform) -> None:
    dropped = platform.creator.generate_for(CreationOrder("ann", 2))
    next(dropped)
    dropped.close()  # type: ignore[attr-defined]
    assert [s.item for s in platform.creator.generate_for(CreationOrder("ann", 1)) if s.item]


def test_a_profile_that_no_model_understands_is_told_so(platform: Platform) -> None:
    platform.catalog.upsert([Item("song", title="a song", categories=("songs",))])
    now = int(time.time() * 1000)
    platform.behaviour.record(
        [Event(f"eve-{kind}", "eve", "song", kind, now) for kind in ("click", "like", "purchase")]
    )
    steps = list(platform.creator.generate_for(CreationOrder("eve", 1, force=True)))
    stages = [step.progress.stage for step in steps if step.progress is not None]
    assert stages[-1] == "nothing in the profile says anything to strokes@1 by class"
    assert not [step for step in steps if step.item is not None]
