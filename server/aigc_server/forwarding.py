"""Calls that another process answers, passed on byte for byte with their deadline, metadata and cancellation."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any, cast

import grpc
from google.protobuf.descriptor import ServiceDescriptor

from aigc.errors import UnavailableError

__all__ = ["Forwarder", "RelayedError"]

_DETAILS = "grpc-status-details-bin"
_OWN_METADATA = ("grpc-", "user-agent", ":")

Connect = Callable[[], Awaitable[grpc.aio.Channel]]


if TYPE_CHECKING:
    _Base = grpc.GenericRpcHandler[Any, Any]
else:
    # Generic in the type stubs only.
    _Base = grpc.GenericRpcHandler


class RelayedError(Exception):
    """What the other process answered instead of a result; it goes to the caller as it is."""

    def __init__(self, error: grpc.aio.AioRpcError) -> None:
        super().__init__(error.details())
        self.code = error.code()
        self.details = error.details() or ""
        self.trailing_metadata = tuple(error.trailing_metadata() or ())


class Forwarder(_Base):
    """Stands in for services that live elsewhere; requests and replies stay bytes."""

    def __init__(
        self,
        services: tuple[ServiceDescriptor, ...],
        connect: Connect,
        where: str,
        around: Callable[[], AbstractContextManager[None]] = nullcontext,
    ) -> None:
        """Prepare.

        Args:
            services: Which.
            connect: Gives a channel to where they are.
            where: Its name, for errors.
            around: Entered for the length of each call.
        """
        self._methods = {
            f"/{service.full_name}/{method.name}": method.server_streaming
            for service in services
            for method in service.methods
        }
        self._connect = connect
        self._where = where
        self._around = around

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler[Any, Any] | None:
        """The handler of a method, None for one that is not ours."""
        method = handler_call_details.method
        if method not in self._methods:
            return None

        async def unary(request: bytes, context: Any) -> bytes:
            with self._around():
                channel: Any = await self._connect()
                left, metadata = context.time_remaining(), _passed_on(context)
                call = channel.unary_unary(method)(request, timeout=left, metadata=metadata)
                try:
                    return cast(bytes, await call)
                except grpc.aio.AioRpcError as error:
                    raise self._translated(error) from error

        async def stream(request: bytes, context: Any) -> AsyncIterator[bytes]:
            with self._around():
                channel: Any = await self._connect()
                left, metadata = context.time_remaining(), _passed_on(context)
                call = channel.unary_stream(method)(request, timeout=left, metadata=metadata)
                try:
                    async for response in call:
                        yield response
                except grpc.aio.AioRpcError as error:
                    raise self._translated(error) from error
                finally:
                    # Nothing happens to a call that is over.
                    call.cancel()

        if self._methods[method]:
            return grpc.unary_stream_rpc_method_handler(stream)
        return grpc.unary_unary_rpc_method_handler(unary)

    def _translated(self, error: grpc.aio.AioRpcError) -> Exception:
        answered = _DETAILS in dict(cast(Any, error.trailing_metadata() or ()))
        if error.code() == grpc.StatusCode.UNAVAILABLE and not answered:
            return UnavailableError(
                f"the {self._where} ended during the call; it is started again by itself: try again in a moment",
                reason="GENERATOR_DOWN",
            )
        return RelayedError(error)


def _passed_on(context: Any) -> tuple[tuple[str, Any], ...]:
    return tuple((k, v) for k, v in context.invocation_metadata() or () if not k.startswith(_OWN_METADATA))
