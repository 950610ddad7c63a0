"""Which methods are offered under Ray Serve, and by what they are found there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from google.protobuf import message_factory
from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor
from grpc_health.v1 import health_pb2

from aigc_server.platform_services import PLATFORM_SERVICES

__all__ = ["METHODS", "OFFERED", "Method"]

_HEALTH: ServiceDescriptor = health_pb2.DESCRIPTOR.services_by_name["Health"]

OFFERED = PLATFORM_SERVICES
"""The services that hold on any replica.

Not those with one state a data directory: the generator's process, training jobs, promotions and what is made for
someone. They stay with ``aigc serve``.
"""


@dataclass(frozen=True, slots=True)
class Method:
    """One RPC.

    Attributes:
        path: ``/package.Service/Name``.
        name: By which Serve finds it on a replica. It knows no services, so names must be unique among all.
        response: Class of the message.
        request_streaming: Whether the client streams.
        response_streaming: Whether the server streams.
    """

    path: str
    name: str
    response: Any
    request_streaming: bool
    response_streaming: bool


def _method(method: MethodDescriptor) -> Method:
    raw: Any = method
    return Method(
        f"/{method.containing_service.full_name}/{method.name}",
        method.name,
        message_factory.GetMessageClass(method.output_type),
        bool(raw.client_streaming),
        bool(raw.server_streaming),
    )


# No Watch: it would hold a place on one replica for ever, and clients take a server without it for healthy.
METHODS: tuple[Method, ...] = (
    *(_method(method) for service in OFFERED for method in service.methods),
    _method(_HEALTH.methods_by_name["Check"]),
)

assert len({method.name for method in METHODS}) == len(METHODS), "Serve tells methods apart by their name alone"
