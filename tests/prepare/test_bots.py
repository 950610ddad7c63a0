"""Programs are told from people."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from aigc.collect.movielens import MovieLens
from aigc.collect.rejects import Rejects
from aigc.errors import InvalidInputError
from aigc.prepare.bots import find_bots

DAY_MS = 86_400_000


def people(n: int, rng: np.random.Generator, n_items: int) -> list[tuple[int, int, int]]:
    """(user, item, time): 40 events each in sittings over weeks, on popular items more than on others."""
    events = []
    for user in range(n):
        for _ in range(8):
            moment = int(rng.integers(0, 30)) * DAY_MS + int(rng.integers(0, DAY_MS))
            for _ in range(5):
                moment += int(rng.exponential(60_000)) + 2_000
                events.append((user, int(rng.zipf(1.3)) % n_items, moment))
    return events


def kinds_of(events: list[tuple[int, int, int]], n_items: int) -> dict[int, set[str]]:
    users, items, times = (np.array(column, np.int64) for column in zip(*events, strict=True))
    found: dict[int, set[str]] = {}
    for finding in find_bots(users, items, times, np.zeros(len(users), np.int64), int(users.max()) + 1, n_items):
        assert finding.evidence
        found.setdefault(finding.user, set()).add(finding.kind)
    return found


def test_each_kind_is_found_among_people_and_no_person_is() -> None:
    rng = np.random.default_rng(0)
    events = people(200, rng, 2000)
    events += [(200, int(rng.integers(2000)), 5 * DAY_MS + 40 * k) for k in range(1500)]
    events += [(201, int(item), DAY_MS + 20_000 * k) for k, item in enumerate(rng.permutation(2000)[:1200])]
    script = rng.integers(0, 2000, 12)
    events += [(202, int(script[k % 12]), DAY_MS + 30_000 * k + int(rng.integers(0, 5000))) for k in range(600)]
    found = kinds_of(events, 2000)
    assert set(found) == {200, 201, 202}
    assert "burst" in found[200]
    assert "crawler" in found[201]
    assert "replay" in found[202]


def test_a_person_with_few_events_is_never_flagged() -> None:
    events = people(50, np.random.default_rng(1), 500) + [(50, k, 1000 + k) for k in range(6)]
    assert kinds_of(events, 500) == {}


def test_rows_outside_the_table_are_named() -> None:
    one = np.zeros(1, np.int64)
    with pytest.raises(InvalidInputError, match=r"items holds a row outside 0\.\.4"):
        find_bots(one, one + 5, one, one, 1, 5)


def test_no_real_person_of_movielens_is_flagged(shared_data: Path) -> None:
    events = list(MovieLens.find(shared_data / "ml-latest-small").read_events(Rejects(None)))
    users = {u: n for n, u in enumerate(dict.fromkeys(e.user_id for e in events))}
    items = {i: n for n, i in enumerate(dict.fromkeys(e.item_id for e in events))}
    rows = [(users[e.user_id], items[e.item_id], e.time_ms) for e in events]
    assert len(kinds_of(rows, len(items))) <= 3
