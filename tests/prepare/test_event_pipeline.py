"""Events cleaned by named steps."""

from __future__ import annotations

import time
from dataclasses import replace

from aigc.entities import Event
from aigc.prepare.steps import PrepareOptions, event_pipeline


def test_an_event_without_an_id_gets_the_same_one_each_time_and_others_keep_theirs() -> None:
    pipeline = event_pipeline(PrepareOptions(event_steps=("ids",)))
    bare, named = Event("", "u", "i", "view", 10**12), Event("mine", "u", "i", "view", 10**12)
    first, kept, other = pipeline.apply([bare, named, replace(bare, item_id="j")])
    assert first.id
    assert kept is named
    assert len({first.id, other.id}) == 2
    assert pipeline.apply([bare])[0] == first
    assert pipeline.changed == {"ids": 3}


def test_an_impossible_time_is_brought_back_and_counted() -> None:
    now = int(time.time() * 1000)
    pipeline = event_pipeline(PrepareOptions())
    right = Event("a", "u", "i", "view", now - 5000)
    ahead = Event("b", "u", "i", "view", now + 3_600_000)
    seconds = Event("c", "v", "i", "view", now // 1000 - 60)
    after = pipeline.apply([right, ahead, seconds])
    assert after[0] is right
    assert now - 5000 <= after[1].time_ms <= now + 60_000
    assert after[2].time_ms == (now // 1000 - 60) * 1000
    assert pipeline.changed == {"clock": 2}
    assert pipeline.apply([right])[0] is right
    assert pipeline.apply([]) == []
