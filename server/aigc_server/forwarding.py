"""Calls that another process answers, passed on byte for byte with their deadline, metadata and cancellation."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import TYPE_CHECKING, Any, cast

import grpc
from google.protobuf.descriptor import ServiceDescriptor

from aigc.errors import UnavailableError

__all__ = ["Forwarder", "Relay", "RelayedError"]

_DETAILS = "grpc-status-details-bin"
_OWN_METADATA = ("grpc-", "user-agent", ":")

Connect = Callable[[], Awaitable[grpc.aio.Channel]]
Carried = Callable[[tuple[tuple[str, Any], ...]], tuple[tuple[str, Any], ...]]


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


class Relay:
    """Calls to another process with the caller's deadline, metadata and cancellation; requests and replies stay bytes.

    What the other process answers instead of a result is raised as :class:`RelayedError`; when it ends during the call,
    UnavailableError says so.
    """

    def __init__(
        self,
        connect: Connect,
        where: str,
        carried: Carried = lambda metadata: metadata,
        around: Callable[[], AbstractContextManager[None]] = nullcontext,
    ) -> None:
        """Prepare.

        Args:
            connect: Gives a channel to the process.
            where: Its name, for errors.
            carried: Adds to metadata.
            around: Entered for the length of each call.
        """
        self._connect = connect
        self._where = where
        self._carried = carried
        self._around = around

    async def unary(self, method: str, request: bytes, context: Any) -> bytes:
        """One reply."""
        with self._around():
            channel: Any = await self._connect()
            call = channel.unary_unary(method)(
                request, timeout=context.time_remaining(), metadata=self._carried(_passed_on(context))
            )
            try:
                return cast(bytes, await call)
            except grpc.aio.AioRpcError as error:
                raise self._translated(error) from error
            except asyncio.CancelledError as error:
                self._tell_end(error)
                raise

    async def stream(self, method: str, request: bytes, context: Any) -> AsyncIterator[bytes]:
        """Replies as they come."""
        with self._around():
            channel: Any = await self._connect()
            call = channel.unary_stream(method)(
                request, timeout=context.time_remaining(), metadata=self._carried(_passed_on(context))
            )
            try:
                async for response in call:
                    yield response
            except grpc.aio.AioRpcError as error:
                raise self._translated(error) from error
            except asyncio.CancelledError as error:
                self._tell_end(error)
                raise
            finally:
                # Nothing happens to a call that is over.
                call.cancel()

    def _translated(self, error: grpc.aio.AioRpcError) -> Exception:
        answered = _DETAILS in dict(cast(Any, error.trailing_metadata() or ()))
        if error.code() == grpc.StatusCode.UNAVAILABLE and not answered:
            return self._ended()
        return RelayedError(error)

    def _tell_end(self, error: asyncio.CancelledError) -> None:
        """A channel that is closed cancels its calls; unless the caller did, the process has ended."""
        task = asyncio.current_task()
        if task is not None and not task.cancelling():
            raise self._ended() from error

    def _ended(self) -> UnavailableError:
        return UnavailableError(
            f"the {self._where} ended during the call; it is started again by itself: try again in a moment",
            reason="GENERATOR_DOWN",
        )


class Forwarder(_Base):
    """Stands in for services that live elsewhere."""

    def __init__(self, services: tuple[ServiceDescriptor, ...], relay: Relay) -> None:
        """Args: services: which; relay: to where they are."""
        self._methods = {
            f"/{service.full_name}/{method.name}": method.server_streaming
            for service in services
            for method in service.methods
        }
        self._relay = relay

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler[Any, Any] | None:
        """The handler of a method, None for one that is not ours."""
        method = handler_call_details.method
        if method not in self._methods:
            return None
        if self._methods[method]:
            return grpc.unary_stream_rpc_method_handler(partial(self._relay.stream, method))
        return grpc.unary_unary_rpc_method_handler(partial(self._relay.unary, method))


def _passed_on(context: Any) -> tuple[tuple[str, Any], ...]:
    return tuple((k, v) for k, v in context.invocation_metadata() or () if not k.startswith(_OWN_METADATA))
