"""The one interceptor around every call of ours; health and reflection pass untouched."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import ExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any, cast

import grpc
import structlog
from google.protobuf.message import DecodeError
from grpc_status import rpc_status

from aigc.errors import AigcError
from aigc_server.errors import code_of, malformed_request, rich_status
from aigc_server.forwarding import RelayedError
from aigc_server.interceptors.admission import Admission
from aigc_server.interceptors.open_calls import OpenCall, OpenCalls
from aigc_server.metrics import Metrics
from aigc_server.settings import TraceSettings
from aigc_server.tracing import Tracing

__all__ = ["CallInterceptor"]

_OURS = ("/aigc.", "/inference.")
PEER_KEY = "x-aigc-peer"

if TYPE_CHECKING:
    _Base = grpc.aio.ServerInterceptor[Any, Any]
else:
    # Generic in the type stubs only.
    _Base = grpc.aio.ServerInterceptor


class CallInterceptor(_Base):
    """Span → admission → deadline → the call → errors as rich status → one line of log → metrics."""

    def __init__(
        self,
        admission: Admission,
        metrics: Metrics,
        default_deadline_ms: int,
        *,
        tracing: Tracing | None = None,
        slow_ms: int = 0,
    ) -> None:
        """Args: default_deadline_ms: for unary calls that bring none; slow_ms: unary calls to warn of, 0 for none."""
        self._admission = admission
        self._metrics = metrics
        self._default_s = default_deadline_ms / 1000
        self._tracing = tracing or Tracing(TraceSettings(), "")
        self._slow_s = slow_ms / 1000 if slow_ms else float("inf")
        self._log = structlog.get_logger("aigc.call")
        self._calls = OpenCalls()

    def end(self) -> None:
        """Tell the callers of all calls in work that the server ends; what comes later is told so at once."""
        self._calls.end()

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[grpc.RpcMethodHandler[Any, Any]]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> grpc.RpcMethodHandler[Any, Any]:
        """Wrap the method's handler."""
        handler = cast(Any, await continuation(handler_call_details))
        method = handler_call_details.method
        if handler is None or not method.startswith(_OURS):
            return cast("grpc.RpcMethodHandler[Any, Any]", handler)

        async def unary(request: Any, context: Any) -> Any:
            behaviour = handler.stream_unary if handler.request_streaming else handler.unary_unary
            async with self._around(method, context, slow_s=self._slow_s):
                remaining = context.time_remaining()
                limit = remaining if remaining is not None else (None if handler.request_streaming else self._default_s)
                async with asyncio.timeout(limit):
                    return await behaviour(_checked(request, streams=handler.request_streaming), context)

        async def stream(request: Any, context: Any) -> AsyncIterator[Any]:
            behaviour = handler.stream_stream if handler.request_streaming else handler.unary_stream
            async with (
                self._around(method, context, slow_s=float("inf")) as call,
                asyncio.timeout(context.time_remaining()),
            ):
                async for response in behaviour(_checked(request, streams=handler.request_streaming), context):
                    with call.sending():
                        yield response

        make = {
            (False, False): grpc.unary_unary_rpc_method_handler,
            (True, False): grpc.stream_unary_rpc_method_handler,
            (False, True): grpc.unary_stream_rpc_method_handler,
            (True, True): grpc.stream_stream_rpc_method_handler,
        }[(handler.request_streaming, handler.response_streaming)]
        return make(
            cast(Any, stream if handler.response_streaming else unary),
            request_deserializer=_lenient(handler.request_deserializer),
            response_serializer=handler.response_serializer,
        )

    @asynccontextmanager
    async def _around(self, method: str, context: Any, slow_s: float) -> AsyncIterator[OpenCall]:
        started = time.perf_counter()
        waited = 0.0
        code, reason = grpc.StatusCode.OK, ""
        # After a cancelled call its context points at freed memory (grpcio 1.85): ask now, not in the end.
        peer = context.peer()
        metadata = dict(context.invocation_metadata() or ())
        request_id = metadata.get("x-request-id", "")
        if peer.startswith("unix:"):
            # The ingress calls, and says for whom; nobody else can reach its socket.
            peer = metadata.get(PEER_KEY, peer)
        stack = ExitStack()
        mark = stack.enter_context(self._tracing.span(method, metadata))
        try:
            async with self._calls.call() as call, self._admission.turn() as waited:
                self._metrics.waited(waited)
                remaining = context.time_remaining()
                if remaining is not None and remaining <= 0:
                    raise TimeoutError
                self._metrics.in_flight.inc()
                try:
                    yield call
                finally:
                    self._metrics.in_flight.dec()
        except TimeoutError:
            code, reason = grpc.StatusCode.DEADLINE_EXCEEDED, "DEADLINE_EXCEEDED"
            error = AigcError(
                "the deadline passed before the work was done; give more time or ask for less", reason=reason
            )
            await context.abort_with_status(rpc_status.to_status(rich_status(error, code)))
        except AigcError as error:
            code, reason = code_of(error), error.reason
            await context.abort_with_status(rpc_status.to_status(rich_status(error)))
        except (asyncio.CancelledError, GeneratorExit):
            code, reason = grpc.StatusCode.CANCELLED, "CANCELLED"
            raise
        except RelayedError as error:
            code, reason = error.code, "RELAYED"
            await context.abort(error.code, error.details, error.trailing_metadata)
        except grpc.aio.AbortError:
            raise
        except Exception:
            code, reason = grpc.StatusCode.INTERNAL, "INTERNAL"
            request_id = request_id or uuid.uuid4().hex
            self._log.exception("unexpected error", method=method, request_id=request_id)
            hidden = AigcError(
                f"something unexpected happened; the server's log has it under request id {request_id}",
                metadata={"request_id": request_id},
            )
            await context.abort_with_status(rpc_status.to_status(rich_status(hidden)))
        finally:
            elapsed = time.perf_counter() - started
            self._metrics.observe(method, code.name, reason, elapsed)
            mark.outcome(code.value[0], reason, waited)
            stack.close()
            slow = elapsed >= slow_s
            (self._log.warning if slow else self._log.info)(
                "slow call" if slow else "call",
                method=method,
                code=code.name,
                reason=reason,
                ms=round(elapsed * 1000, 3),
                waited_ms=round(waited * 1000, 3),
                peer=peer,
                request_id=request_id or uuid.uuid4().hex,
            )


_MALFORMED = object()


def _lenient(read: Callable[[bytes], Any] | None) -> Callable[[bytes], Any] | None:
    """What cannot be read becomes an error of the caller's; gRPC would log a traceback and say nothing of use."""
    if read is None:
        return None

    def lenient(data: bytes) -> Any:
        try:
            return read(data)
        except DecodeError:
            return _MALFORMED

    return lenient


def _checked(request: Any, *, streams: bool) -> Any:
    if streams:
        return _each_checked(request)
    if request is _MALFORMED:
        raise malformed_request()
    return request


async def _each_checked(requests: AsyncIterator[Any]) -> AsyncIterator[Any]:
    async for request in requests:
        yield _checked(request, streams=False)
