"""EventService."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from concurrent.futures import Future
from typing import Any

from aigc.errors import ResourceExhaustedError
from aigc.services.behaviour import Behaviour
from aigc.v1 import event_service_pb2 as pb
from aigc.v1 import event_service_pb2_grpc as pb_grpc
from aigc_server.converters.event import events_from_proto

__all__ = ["EventServicer"]

# Batches of one stream that are written while its next is read. A commit writes nearly every page of the indexes,
# however many rows it has: of 16,000 rows each costs half of what it does of 1,000.
_AHEAD = 16


class EventServicer(pb_grpc.EventServiceServicer):
    """Events over gRPC."""

    def __init__(self, behaviour: Behaviour) -> None:
        """Args: behaviour: what is called."""
        self._behaviour = behaviour

    async def RecordEvents(self, request: pb.RecordEventsRequest, context: Any) -> pb.RecordEventsResponse:
        """See the proto."""
        new = await asyncio.wrap_future(self._behaviour.submit(events_from_proto(request.events)))
        return pb.RecordEventsResponse(accepted_count=sum(new), duplicate_count=len(new) - sum(new))

    async def StreamEvents(
        self, request_iterator: AsyncIterator[pb.StreamEventsRequest], context: Any
    ) -> AsyncIterator[pb.StreamEventsResponse]:
        """See the proto. Batches are read while those before them are written, so that they share a commit."""
        ahead: asyncio.Queue[Future[list[bool]] | None] = asyncio.Queue(_AHEAD)
        reader = asyncio.create_task(self._read(request_iterator, ahead))
        try:
            index = 0
            while (recorded := await ahead.get()) is not None:
                new = await asyncio.wrap_future(recorded)
                yield pb.StreamEventsResponse(
                    batch_index=index, accepted_count=sum(new), duplicate_count=len(new) - sum(new)
                )
                index += 1
        finally:
            reader.cancel()

    async def _read(
        self, requests: AsyncIterator[pb.StreamEventsRequest], ahead: asyncio.Queue[Future[list[bool]] | None]
    ) -> None:
        last: Future[list[bool]] | None = None
        try:
            async for request in requests:
                events = events_from_proto(request.events)
                while True:
                    try:
                        recorded = self._behaviour.submit(events)
                        break
                    except ResourceExhaustedError:
                        if last is None or last.done():
                            raise
                        # Full of this stream's own batches, perhaps: it waits for them, and loses none.
                        await asyncio.wait([asyncio.wrap_future(last)])
                await ahead.put(recorded)
                last = recorded
        except Exception as error:
            # Those before a wrong batch are acknowledged first; then it is named.
            wrong: Future[list[bool]] = Future()
            wrong.set_exception(error)
            await ahead.put(wrong)
        else:
            await ahead.put(None)
