"""Events."""

from __future__ import annotations

import time
from collections.abc import Iterable

from aigc import entities
from aigc.v1 import event_pb2
from aigc_server.converters.times import from_ms, to_ms

__all__ = ["event_from_proto", "event_to_proto", "events_from_proto"]


def event_from_proto(proto: event_pb2.Event, path: str) -> entities.Event:
    """Wire → domain; ``path`` is where the event stands in the request."""
    moment = to_ms(proto.event_time, f"{path}.event_time") if proto.HasField("event_time") else int(time.time() * 1000)
    return entities.Event(
        id=proto.id,
        user_id=proto.user_id,
        item_id=proto.item_id,
        type=proto.type,
        time_ms=moment,
        value=proto.value if proto.HasField("value") else None,
        recommendation_id=proto.recommendation_id,
        text=proto.text,
    )


def events_from_proto(protos: Iterable[event_pb2.Event]) -> list[entities.Event]:
    """The ``events`` of a request."""
    return [event_from_proto(proto, f"events[{i}]") for i, proto in enumerate(protos)]


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
