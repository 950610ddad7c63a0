"""Events of several calls written together."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from aigc.entities import Event
from aigc.errors import InvalidInputError
from aigc.profiles.weights import EventWeights
from aigc.services.behaviour import Behaviour
from aigc.services.limits import Limits
from aigc.store.sql import SqlStore, open_store


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqlStore]:
    made = open_store(f"sqlite:///{tmp_path / 'events.sqlite'}")
    yield made
    made.close()


def event(name: str, kind: str = "view", at_ms: int = 1_760_000_000_000) -> Event:
    return Event(name, "ann", "one", kind, at_ms)


def test_each_call_has_its_own_answer_and_its_own_error(store: SqlStore) -> None:
    behaviour = Behaviour(store, EventWeights(), Limits(batch=2))
    behaviour.record([event("known")])
    calls = [
        [event("a"), event("b")],
        [event("c", kind="stare")],
        [],
        [event("known"), event("a")],
        [event(str(n)) for n in range(3)],
        [event("late", at_ms=10**15)],
        [event("d")],
    ]
    told = behaviour.submit_together(calls).result(timeout=10)
    assert [told[i] for i in (0, 2, 3, 6)] == [[True, True], [], [False, False], [True]]
    for place, message in ((1, r"events\[0\].type is 'stare'"), (4, "events has 3 entries"), (5, r"events\[0\].time")):
        error = told[place]
        assert isinstance(error, InvalidInputError)
        assert re.search(message, error.message)
    assert store.counts().events == 4


def test_nothing_to_write_is_nothing_to_wait_for(store: SqlStore) -> None:
    behaviour = Behaviour(store, EventWeights(), Limits())
    assert behaviour.submit_together([]).result(timeout=10) == []
    assert behaviour.submit_together([[]]).result(timeout=10) == [[]]
