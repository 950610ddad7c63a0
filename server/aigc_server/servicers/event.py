"""EventService."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from aigc.services.behaviour import Behaviour
from aigc.v1 import event_service_pb2 as pb
from aigc.v1 import event_service_pb2_grpc as pb_grpc
from aigc_server.converters.event import event_from_proto

__all__ = ["EventServicer"]


class EventServicer(pb_grpc.EventServiceServicer):
    """Events over gRPC."""

    def __init__(self, behaviour: Behaviour) -> None:
        """Args: behaviour: what is called."""
        self._behaviour = behaviour

    async def RecordEvents(self, request: pb.RecordEventsRequest, context: Any) -> pb.RecordEventsResponse:
        """See the proto."""
        events = [event_from_proto(event, f"events[{i}]") for i, event in enumerate(request.events)]
        new = await asyncio.wrap_future(self._behaviour.submit(events))
        return pb.RecordEventsResponse(accepted_count=sum(new), duplicate_count=len(new) - sum(new))

    async def StreamEvents(
        self, request_iterator: AsyncIterator[pb.StreamEventsRequest], context: Any
    ) -> AsyncIterator[pb.StreamEventsResponse]:
        """See the proto."""
        index = 0
        async for request in request_iterator:
            events = [event_from_proto(event, f"events[{i}]") for i, event in enumerate(request.events)]
            new = await asyncio.wrap_future(self._behaviour.submit(events))
            yield pb.StreamEventsResponse(
                batch_index=index, accepted_count=sum(new), duplicate_count=len(new) - sum(new)
            )
            index += 1
