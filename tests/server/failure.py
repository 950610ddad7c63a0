"""Reads the rich status of a failed call."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import grpc
from google.protobuf.duration_pb2 import Duration
from google.rpc import error_details_pb2
from grpc_status import rpc_status


@dataclass(frozen=True)
class Failure:
    code: grpc.StatusCode
    message: str
    reason: str
    domain: str
    field: str
    retry_delay: Duration | None


async def failure(call: Any) -> Failure:
    """Await a call that must fail."""
    try:
        await call
    except grpc.aio.AioRpcError as error:
        status = rpc_status.from_call(_Call(error))
        info, bad, retry = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest(), error_details_pb2.RetryInfo()
        field, delay = "", None
        for detail in status.details if status else ():
            detail.Unpack(info)
            if detail.Unpack(bad):
                field = bad.field_violations[0].field
            if detail.Unpack(retry):
                delay = retry.retry_delay
        return Failure(error.code(), error.details() or "", info.reason, info.domain, field, delay)
    raise AssertionError("the call succeeded")


class _Call:
    """What grpc_status wants of a call."""

    def __init__(self, error: grpc.aio.AioRpcError) -> None:
        self._error = error

    def code(self) -> grpc.StatusCode:
        return self._error.code()

    def details(self) -> str:
        return self._error.details() or ""

    def trailing_metadata(self) -> Any:
        return self._error.trailing_metadata()
