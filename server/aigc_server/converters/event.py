"""Events."""

from __future__ import annotations

import time
from collections.abc import Iterable

from aigc import entities
from aigc.v1 import event_pb2
from aigc_server.converters.times import MAX_MS, MIN_MS, from_ms, to_ms

__all__ = ["event_to_proto", "events_from_proto"]


def events_from_proto(protos: Iterable[event_pb2.Event]) -> list[entities.Event]:
    """Wire → domain, of the ``events`` of a request. Raises InvalidInputError naming a time that is none."""
    now_ms = int(time.time() * 1000)
    made = []
    for i, proto in enumerate(protos):
        moment_ms = now_ms
        if proto.HasField("event_time"):
            moment = proto.event_time
            moment_ms = moment.seconds * 1000 + moment.nanos // 1_000_000
            if not (MIN_MS <= moment_ms <= MAX_MS and 0 <= moment.nanos < 1_000_000_000):
                # The path costs as much as all of the check.
                moment_ms = to_ms(moment, f"events[{i}].event_time")
        made.append(
            entities.Event(
                proto.id,
                proto.user_id,
                proto.item_id,
                proto.type,
                moment_ms,
                proto.value if proto.HasField("value") else None,
                proto.recommendation_id,
                proto.text,
            )
        )
    return made


def event_to_proto(event: entities.Event) -> event_pb2.Event:
    """Domain → wire."""
    return event_pb2.Event(
        id=event.id,
        user_id=event.user_id,
        item_id=event.item_id,
        type=event.type,
        event_time=from_ms(event.time_ms),
        value=event.value,
        recommendation_id=event.recommendation_id,
        text=event.text,
    )
