"""One replica: the platform of a data directory, and the control server's handlers over it, called by Serve."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
from grpc_health.v1 import health_pb2_grpc
from grpc_status import rpc_status

from aigc.errors import CancelledError, ResourceExhaustedError
from aigc_server.app import open_platform
from aigc_server.errors import rich_status
from aigc_server.interceptors.admission import Admission
from aigc_server.interceptors.calls import CallInterceptor
from aigc_server.logs import configure_logs
from aigc_server.metrics import Metrics, PlatformMetrics
from aigc_server.ray.context import AnsweredError, ReplicaContext
from aigc_server.ray.methods import METHODS, OFFERED, Method
from aigc_server.registration import register_platform
from aigc_server.servicers.health import HealthServicer
from aigc_server.settings import Settings
from aigc_server.tracing import Tracing

__all__ = ["Replica"]


class Collected:
    """Takes handlers as a gRPC server does."""

    def __init__(self) -> None:
        """Empty."""
        self._generic: list[Any] = []

    def add_generic_rpc_handlers(self, handlers: Any) -> None:
        """Called by generated code."""
        self._generic += handlers

    def add_registered_method_handlers(self, service: str, handlers: Any) -> None:
        """The same again, for servers that look methods up beforehand."""

    async def find(self, details: grpc.HandlerCallDetails) -> Any:
        """The handler of a method, None when there is none."""
        return next((h for generic in self._generic if (h := generic.service(details)) is not None), None)


class Details(grpc.HandlerCallDetails):
    """Of no call in particular: which handler a method has does not depend on it."""

    def __init__(self, method: str) -> None:
        """Args: method: its path."""
        self.method = method
        self.invocation_metadata = ()


class Replica:
    """Opens the data directory when it is made; has a method for each RPC, by its name.

    With PostgreSQL it writes, and follows what other replicas write. SQLite knows one writing process, which may be any
    server or command beside Ray: then a replica reads only, and refuses writes.
    """

    def __init__(self, settings: Settings, home: str) -> None:
        """Open.

        Args:
            settings: The whole tree.
            home: The data directory, as this node sees it.
        """
        configure_logs(settings.log)
        self._server = settings.server
        self._platform = open_platform(
            settings, Path(home), watch=True, read_only=not settings.store.url, one_of_several=True
        )
        self._tracing = Tracing(settings.trace, "replica")
        metrics = Metrics()
        self._platform.observe(PlatformMetrics(metrics))
        self._interceptor = CallInterceptor(
            Admission(self._server.max_concurrent, self._server.max_waiting),
            metrics,
            self._server.default_deadline_ms,
            tracing=self._tracing,
            slow_ms=settings.log.slow_ms,
        )
        self._collected = Collected()
        register_platform(self._platform, self._collected)
        health = HealthServicer()
        for service in ("", *(service.full_name for service in OFFERED)):
            health.set(service, True)
        health_pb2_grpc.add_HealthServicer_to_server(health, self._collected)
        self._handlers: dict[str, Any] = {}

    async def answer(self, method: Method, request: Any, context: Any) -> Any:
        """One message, for the bytes of one or a stream of them.

        An error is told by the context and an empty message: what Serve makes of an exception has no details.
        """
        handler, called = await self._handler(method), ReplicaContext(context)
        behaviour = handler.stream_unary if method.request_streaming else handler.unary_unary
        try:
            return await behaviour(await self._read(handler, request, called), called)
        except AnsweredError:
            return method.response()

    async def answers(self, method: Method, request: Any, context: Any) -> AsyncIterator[Any]:
        """A stream of messages; an error is told as by :meth:`answer`, by a message that the proxy drops."""
        handler, called = await self._handler(method), ReplicaContext(context)
        behaviour = handler.stream_stream if method.request_streaming else handler.unary_stream
        try:
            async for response in behaviour(await self._read(handler, request, called), called):
                yield response
        except AnsweredError:
            yield method.response()

    def close(self) -> None:
        """Send the last spans, finish what is queued and release the store."""
        self._tracing.close()
        self._platform.close()

    async def _handler(self, method: Method) -> Any:
        if not self._handlers:
            asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(self._server.workers, "call"))
            self._handlers = {
                known.path: await self._interceptor.intercept_service(self._collected.find, Details(known.path))
                for known in METHODS
            }
        return self._handlers[method.path]

    async def _read(self, handler: Any, request: Any, context: ReplicaContext) -> Any:
        """Messages of bytes; what is none becomes an error of the caller's, see the interceptor."""
        if handler.request_streaming:
            return self._each_read(handler, request)
        try:
            return self._read_one(handler, request)
        except ResourceExhaustedError as error:
            # As on a gRPC server, before the call begins.
            return await context.abort_with_status(rpc_status.to_status(rich_status(error)))

    async def _each_read(self, handler: Any, requests: Any) -> AsyncIterator[Any]:
        """Of ``ray.serve.grpc_util.gRPCInputStream``. Most callers who leave look to Serve like those who are done."""
        from ray.exceptions import TaskCancelledError

        try:
            async for request in requests:
                yield self._read_one(handler, request)
        except TaskCancelledError as error:
            raise CancelledError("the caller left before the end of the stream") from error

    def _read_one(self, handler: Any, request: bytes) -> Any:
        most = self._server.max_message_bytes
        if len(request) > most:
            raise ResourceExhaustedError(
                f"the message has {len(request):,} bytes, more than server.max_message_bytes ({most:,}); send less at "
                "a time",
                reason="MESSAGE_TOO_LARGE",
            )
        return handler.request_deserializer(request)

    def __del__(self) -> None:
        """Serve's way to say that a replica has drained."""
        if hasattr(self, "_platform"):
            self.close()


def _add(method: Method) -> None:
    async def one(self: Replica, request: Any, grpc_context: Any) -> Any:
        return await self.answer(method, request, grpc_context)

    async def many(self: Replica, request: Any, grpc_context: Any) -> AsyncIterator[Any]:
        async for response in self.answers(method, request, grpc_context):
            yield response

    call: Any = many if method.response_streaming else one
    call.__name__, call.__doc__ = method.name, f"``{method.path}``."
    setattr(Replica, method.name, call)


for _each in METHODS:
    _add(_each)
