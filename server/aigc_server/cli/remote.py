"""The catalogue and behaviour of a running server, behind the faces that the importer knows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from typing import Any

import grpc

from aigc.entities import Event, Item
from aigc.errors import AigcError, InvalidInputError, UnavailableError
from aigc.prepare.event_pipeline import EventPipeline
from aigc.profiles.weights import EventWeights
from aigc.services.behaviour import Behaviour
from aigc.services.catalog import Catalog
from aigc.services.limits import Limits
from aigc.v1 import catalog_service_pb2, catalog_service_pb2_grpc, event_service_pb2, event_service_pb2_grpc
from aigc_server.converters.event import event_to_proto
from aigc_server.converters.item import item_to_proto
from aigc_server.settings import Settings

__all__ = ["RemoteBehaviour", "RemoteCatalog", "called", "remote_channel"]

_MESSAGE_BYTES = 64_000_000


def remote_channel(address: str) -> grpc.Channel:
    """A channel that answers.

    Raises:
        UnavailableError: Nothing answers at the address within 5 seconds.
    """
    channel = grpc.insecure_channel(
        address,
        options=[
            ("grpc.max_receive_message_length", _MESSAGE_BYTES),
            ("grpc.max_send_message_length", _MESSAGE_BYTES),
        ],
    )
    try:
        grpc.channel_ready_future(channel).result(timeout=5)
    except grpc.FutureTimeoutError:
        channel.close()
        raise UnavailableError(
            f"no server answers at {address}; start one with `aigc serve --listen {address}`", reason="NO_SERVER"
        ) from None
    return channel


class RemoteCatalog(Catalog):
    """Checks here, writes there."""

    def __init__(self, channel: grpc.Channel, limits: Limits) -> None:
        """Args: channel: to the server."""
        self._limits = limits
        self._stub: Any = catalog_service_pb2_grpc.CatalogServiceStub(channel)

    def upsert(self, items: Sequence[Item]) -> Mapping[int, InvalidInputError]:
        """See :class:`Catalog`; what the server's own steps refuse is told by its place."""
        if not items:
            return {}
        request = catalog_service_pb2.ImportItemsRequest(items=[item_to_proto(i) for i in items])
        response = called(lambda: self._stub.ImportItems(iter([request])))
        return {r.index: InvalidInputError(r.reason, field=r.field) for r in response.rejected}


class RemoteBehaviour(Behaviour):
    """Checks here, writes there."""

    def __init__(self, channel: grpc.Channel, settings: Settings, limits: Limits) -> None:
        """Args: channel: to the server; settings: for the known event types."""
        self._weights = EventWeights(dict(settings.events.weights))
        self._limits = limits
        self._stub: Any = event_service_pb2_grpc.EventServiceStub(channel)

    def submit(
        self, events: Sequence[Event], *, checked: bool = False, pipeline: EventPipeline | None = None
    ) -> Future[list[bool]]:
        """See :class:`Behaviour`; the server cleans and checks in any case."""
        del checked, pipeline
        request = event_service_pb2.RecordEventsRequest(events=[event_to_proto(e) for e in events])
        response = called(lambda: self._stub.RecordEvents(request))
        done: Future[list[bool]] = Future()
        done.set_result([True] * response.accepted_count + [False] * response.duplicate_count)
        return done


def called(call: Any) -> Any:
    """What a call gives; raises AigcError with the server's words when it fails."""
    try:
        return call()
    except grpc.RpcError as error:
        status: Any = error
        raise AigcError(f"the server answered {status.code().name}: {status.details()}") from error
