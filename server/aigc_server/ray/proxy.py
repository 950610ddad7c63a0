"""What runs in Serve's gRPC proxies: our methods, and what Serve itself leaves out.

Serve answers what it cannot do (no replica, a replica that ended during a call, a full queue) with a code of its own
and no details, and does not tell a replica how much time a caller gives. Here its answers get the details that all our
errors carry, a lost replica becomes UNAVAILABLE, which clients try again, and the time travels in the metadata.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any

import grpc
from grpc_status import rpc_status

from aigc.errors import AigcError, NotFoundError, ResourceExhaustedError, UnavailableError
from aigc_server.errors import STATUS_METADATA, rich_status
from aigc_server.ray.methods import METHODS, Method

__all__ = ["SERVICER_FUNCTION", "TIMEOUT_KEY", "add_services"]

TIMEOUT_KEY = "x-aigc-timeout-ms"
SERVICER_FUNCTION = f"{__name__}.add_services"
"""For ``gRPCOptions.grpc_servicer_functions``."""

if TYPE_CHECKING:
    _Base = grpc.GenericRpcHandler[Any, Any]
else:
    # Generic in the type stubs only.
    _Base = grpc.GenericRpcHandler

Handlers = Mapping[str, Any]

# Of the trace of an exception on a replica; what says that the replica itself has ended names no task.
_TASK = "ray::"


def add_services(_: object, server: Any) -> None:
    """Add all methods to a proxy's server, as a generated ``add_…Servicer_to_server`` does."""
    server.add_generic_rpc_handlers((ProxyHandlers({method.path: _handler(method) for method in METHODS}),))


class ProxyHandlers(_Base):
    """Path → handler. Serve puts its own in their place (``_method_handlers``, as in grpcio), and we stand around."""

    def __init__(self, handlers: Handlers) -> None:
        """Args: handlers: that Serve replaces."""
        self._handlers = handlers

    @property
    def _method_handlers(self) -> Handlers:
        return self._handlers

    @_method_handlers.setter
    def _method_handlers(self, handlers: Handlers) -> None:
        self._handlers = {path: _around(handler) for path, handler in handlers.items()}

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Any:
        """The handler of a method, None for one that is not offered."""
        return self._handlers.get(handler_call_details.method)


class TimedContext:
    """A call's context whose metadata say how much time is left; all else is the context's own."""

    def __init__(self, context: Any) -> None:
        """Args: context: grpcio's."""
        self._context = context

    def invocation_metadata(self) -> tuple[tuple[str, Any], ...]:
        """What the caller sent, and the time."""
        given = tuple((k, v) for k, v in self._context.invocation_metadata() or () if k != TIMEOUT_KEY)
        remaining = self._context.time_remaining()
        return given if remaining is None else (*given, (TIMEOUT_KEY, str(max(0, int(remaining * 1000)))))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._context, name)


def _handler(method: Method) -> Any:
    def unused(request: Any, context: Any) -> None:
        """Serve answers in its place."""

    make: Any = {
        (False, False): grpc.unary_unary_rpc_method_handler,
        (True, False): grpc.stream_unary_rpc_method_handler,
        (False, True): grpc.unary_stream_rpc_method_handler,
        (True, True): grpc.stream_stream_rpc_method_handler,
    }[method.request_streaming, method.response_streaming]
    # Bytes go through: a replica reads them, and says what is wrong with them.
    return make(unused)


def _around(handler: Any) -> Any:
    return handler._replace(
        unary_unary=_one(handler.unary_unary),
        unary_stream=_many(handler.unary_stream),
        stream_unary=_one(handler.stream_unary),
        stream_stream=_many(handler.stream_stream),
    )


def _one(serve: Callable[[Any, Any], Awaitable[bytes]]) -> Callable[[Any, Any], Awaitable[bytes]]:
    async def call(request: Any, context: Any) -> bytes:
        answer = await serve(request, TimedContext(context))
        _explain(context)
        return answer

    return call


def _many(serve: Callable[[Any, Any], AsyncIterator[bytes]]) -> Callable[[Any, Any], AsyncIterator[bytes]]:
    async def call(request: Any, context: Any) -> AsyncIterator[bytes]:
        held: bytes | None = None
        async for answer in serve(request, TimedContext(context)):
            if held is not None:
                yield held
                held = None
            # A replica tells an error with an empty message, its last, which gRPC drops by itself only where there is
            # but one. Those before it may name the error too: they are pickled when they leave, with what the context
            # says by then.
            if _code(context.code()) is grpc.StatusCode.OK:
                yield answer
            else:
                held = answer
        _explain(context)

    return call


def _explain(context: Any) -> None:
    """Give an error of Serve's own its details; those of our handlers came with theirs."""
    trailing = tuple(context.trailing_metadata() or ())
    code = _code(context.code())
    if code is grpc.StatusCode.OK or any(key == STATUS_METADATA for key, _ in trailing):
        return
    named = any(key == "application" for key, _ in context.invocation_metadata() or ())
    error, code = _error(code, str(context.details() or ""), named)
    status = rpc_status.to_status(rich_status(error, code))
    context.set_code(code)
    context.set_details(status.details)
    context.set_trailing_metadata((*trailing, *status.trailing_metadata))


def _error(code: grpc.StatusCode, told: str, named: bool) -> tuple[AigcError, grpc.StatusCode]:
    why = told.strip().partition("\n")[0]
    metadata = {"ray": why}
    if code is grpc.StatusCode.INTERNAL and _TASK in why:
        # Our handlers answer every error themselves, so this is one around them: a second try would meet it too.
        return AigcError("something unexpected happened; the replica's log has it"), code
    if code is grpc.StatusCode.INTERNAL:
        lost = f"the replica at work on this call was lost ({why}); try again"
        return UnavailableError(lost, reason="REPLICA_LOST", metadata=metadata), grpc.StatusCode.UNAVAILABLE
    if code is grpc.StatusCode.UNAVAILABLE or (code is grpc.StatusCode.NOT_FOUND and not named):
        missing = f"no replica answers yet ({why}); try again in a moment"
        return UnavailableError(missing, reason="NO_REPLICA", metadata=metadata), grpc.StatusCode.UNAVAILABLE
    if code is grpc.StatusCode.RESOURCE_EXHAUSTED:
        busy = "all replicas have as many calls as may wait; try again in a moment"
        return ResourceExhaustedError(busy, reason="SERVER_BUSY", metadata=metadata, retry_delay_ms=200), code
    if code is grpc.StatusCode.NOT_FOUND:
        return NotFoundError(why, reason="APPLICATION_NOT_FOUND", metadata=metadata), code
    return AigcError(why or code.name, reason=code.name, metadata=metadata), code


def _code(told: Any) -> grpc.StatusCode:
    """Of what grpcio gives: nothing, a number, or the code."""
    if isinstance(told, grpc.StatusCode):
        return told
    return next((code for code in grpc.StatusCode if code.value[0] == (told or 0)), grpc.StatusCode.UNKNOWN)
