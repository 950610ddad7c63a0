"""The context that our handlers expect, over the one that Serve gives a replica."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any, NoReturn

import grpc
from google.rpc import status_pb2

from aigc_server.errors import STATUS_METADATA
from aigc_server.ray.proxy import TIMEOUT_KEY

__all__ = ["AnsweredError", "ReplicaContext"]

Metadata = Sequence[tuple[str, str | bytes]]


class AnsweredError(grpc.aio.AbortError):
    """The call ends with the status that stands in its context."""


class ReplicaContext:
    """Those parts of ``grpc.aio.ServicerContext`` that servicers and the interceptor use."""

    def __init__(self, context: Any) -> None:
        """Args: context: ``ray.serve.grpc_util.RayServegRPCContext``."""
        self._context = context
        self._metadata: list[tuple[str, str | bytes]] = []
        self._deadline: float | None = None
        for key, value in context.invocation_metadata():
            if key == TIMEOUT_KEY:
                self._deadline = time.monotonic() + int(value) / 1000
            else:
                self._metadata.append((key, value))

    def peer(self) -> str:
        """Who calls."""
        return str(self._context.peer())

    def invocation_metadata(self) -> Metadata:
        """What the caller sent."""
        return self._metadata

    def time_remaining(self) -> float | None:
        """Seconds to the caller's deadline, None without one."""
        return None if self._deadline is None else self._deadline - time.monotonic()

    async def abort(self, code: grpc.StatusCode, details: str = "", trailing_metadata: Metadata = ()) -> NoReturn:
        """End the call with a status."""
        told = list(trailing_metadata)
        if all(key != STATUS_METADATA for key, _ in told):
            # By it the proxy knows an answer of ours from one of Serve's.
            plain = status_pb2.Status(code=code.value[0], message=details)
            told.append((STATUS_METADATA, plain.SerializeToString()))
        self._context.set_code(code)
        self._context.set_details(details)
        self._context.set_trailing_metadata(told)
        raise AnsweredError

    async def abort_with_status(self, status: Any) -> NoReturn:
        """End the call with a rich status."""
        await self.abort(status.code, status.details, status.trailing_metadata)
