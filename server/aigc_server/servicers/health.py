"""grpc.health.v1: who asks and who watches learn of each change, whatever the other watchers do."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc
from grpc_health.v1 import health_pb2 as pb
from grpc_health.v1 import health_pb2_grpc as pb_grpc

__all__ = ["HealthServicer"]


class HealthServicer(pb_grpc.HealthServicer):  # type: ignore[misc]
    """As grpcio-health-checking's, but a watcher that does not read delays nobody, and the end of a drain ends watches.

    grpcio's writes to each watcher under the lock that a change needs: one client with a window of zero keeps every
    service from ever becoming NOT_SERVING. And its watches last until the caller leaves, so that a drain with one
    watcher, as any client with health checks is, takes the whole grace period.
    """

    def __init__(self) -> None:
        """Nothing serves yet, but the server as a whole."""
        self._serving: dict[str, bool] = {"": True}
        self._watchers: set[asyncio.Event] = set()
        self._leaving = self._over = False

    async def Check(self, request: pb.HealthCheckRequest, context: Any) -> pb.HealthCheckResponse:
        """NOT_FOUND for what is no service."""
        if request.service not in self._serving:
            await context.abort(grpc.StatusCode.NOT_FOUND)
        return pb.HealthCheckResponse(status=self._status(request.service))

    async def Watch(self, request: pb.HealthCheckRequest, context: Any) -> AsyncIterator[pb.HealthCheckResponse]:
        """The present status and each later one; a slow reader misses those in between, never the last."""
        changed = asyncio.Event()
        self._watchers.add(changed)
        last = None
        try:
            while True:
                changed.clear()
                status = self._status(request.service)
                if status != last:
                    yield pb.HealthCheckResponse(status=status)
                    last = status
                elif self._over:
                    return
                else:
                    await changed.wait()
        finally:
            self._watchers.discard(changed)

    def set(self, service: str, serving: bool) -> None:
        """What callers are told from now on; after :meth:`leave` nothing serves any more."""
        self._serving[service] = serving and not self._leaving
        self._tell()

    def serves(self, service: str) -> bool:
        """What callers are told."""
        return self._serving.get(service, False)

    def leave(self) -> None:
        """All services are NOT_SERVING, for good."""
        self._leaving = True
        self._serving = dict.fromkeys(self._serving, False)
        self._tell()

    def end(self) -> None:
        """End the watches, each after its last status."""
        self._over = True
        self._tell()

    def _tell(self) -> None:
        for changed in self._watchers:
            changed.set()

    def _status(self, service: str) -> Any:
        response = pb.HealthCheckResponse
        serving = self._serving.get(service)
        if serving is None:
            return response.SERVICE_UNKNOWN
        return response.SERVING if serving else response.NOT_SERVING
