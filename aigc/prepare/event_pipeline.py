"""Cleaning of events as a row of named steps; each works on a batch and says how many events it changed."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from aigc.entities import Event
from aigc.prepare.clock_skew import EARLIEST_MS, TOLERANCE_MS, correct_times
from aigc.prepare.event_ids import event_id

__all__ = ["EVENT_STEPS", "EventPipeline", "EventStep"]


@dataclass(frozen=True, slots=True)
class EventStep:
    """One thing done to each batch: ``apply`` gives as many events, the very same objects where nothing is to do."""

    name: str
    description: str
    apply: Callable[[Sequence[Event]], Sequence[Event]]


def _ids(events: Sequence[Event]) -> Sequence[Event]:
    if all(event.id for event in events):
        return events
    return [e if e.id else replace(e, id=event_id(e.user_id, e.item_id, e.type, e.time_ms, e.value)) for e in events]


def _clock(events: Sequence[Event]) -> Sequence[Event]:
    now = int(time.time() * 1000)
    if all(EARLIEST_MS <= event.time_ms <= now + TOLERANCE_MS for event in events):
        return events
    _, users = np.unique([event.user_id for event in events], return_inverse=True)
    times, changed = correct_times(np.array([event.time_ms for event in events], np.int64), now, users)
    if not changed.any():
        return events
    return [
        replace(event, time_ms=mended) if moved else event
        for event, mended, moved in zip(events, times.tolist(), changed.tolist(), strict=True)
    ]


_STEPS = (
    EventStep(
        "ids", "an id made of its fields for an event without one, so that sending it again changes nothing", _ids
    ),
    EventStep(
        "clock", "times that cannot be right brought back: another unit, a fast clock, one that was never set", _clock
    ),
)
EVENT_STEPS: Mapping[str, EventStep] = {step.name: step for step in _STEPS}


class EventPipeline:
    """Steps in order.

    Attributes:
        changed: Step → events it changed.
    """

    def __init__(self, steps: Sequence[EventStep]) -> None:
        """Args: steps: in the order of their work."""
        self.steps = tuple(steps)
        self.changed: Counter[str] = Counter()

    def lines(self) -> list[str]:
        """What was done, in words, a step a line; steps that did nothing are left out."""
        return [f"{name}: changed {count:,} events" for name, count in self.changed.items()]

    def apply(self, events: Sequence[Event]) -> Sequence[Event]:
        """The events after all steps, in their order."""
        for step in self.steps if events else ():
            after = step.apply(events)
            if after is not events:
                self.changed[step.name] += sum(a is not b for a, b in zip(after, events, strict=True))
                events = after
        return events
