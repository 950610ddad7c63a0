"""The one table of exception → status, and the rich status that a caller receives."""

from __future__ import annotations

import grpc
from google.protobuf import any_pb2, duration_pb2
from google.rpc import error_details_pb2, status_pb2

from aigc import errors

__all__ = ["DOMAIN", "STATUS_METADATA", "code_of", "malformed_request", "port_in_use", "rich_status"]

DOMAIN = "aigc"
STATUS_METADATA = "grpc-status-details-bin"

_CODES: tuple[tuple[type[errors.AigcError], grpc.StatusCode], ...] = (
    (errors.InvalidInputError, grpc.StatusCode.INVALID_ARGUMENT),
    (errors.NotFoundError, grpc.StatusCode.NOT_FOUND),
    (errors.AlreadyExistsError, grpc.StatusCode.ALREADY_EXISTS),
    (errors.ConflictError, grpc.StatusCode.FAILED_PRECONDITION),
    (errors.ResourceExhaustedError, grpc.StatusCode.RESOURCE_EXHAUSTED),
    (errors.UnavailableError, grpc.StatusCode.UNAVAILABLE),
    (errors.CancelledError, grpc.StatusCode.CANCELLED),
    (errors.CorruptDataError, grpc.StatusCode.DATA_LOSS),
    (errors.AigcError, grpc.StatusCode.INTERNAL),
)
_MESSAGE_BYTES = 2000


def code_of(error: errors.AigcError) -> grpc.StatusCode:
    """The status code of an error."""
    return next(code for kind, code in _CODES if isinstance(error, kind))


def rich_status(error: errors.AigcError, code: grpc.StatusCode | None = None) -> status_pb2.Status:
    """The google.rpc.Status of an error.

    It carries ErrorInfo always, BadRequest with the field's path for invalid input, and RetryInfo where a later try
    may succeed.
    """
    message = error.message.encode()[:_MESSAGE_BYTES].decode(errors="ignore")
    status = status_pb2.Status(code=(code or code_of(error)).value[0], message=message)
    metadata = {k: v[:500] for k, v in error.metadata.items()}
    details = [error_details_pb2.ErrorInfo(reason=error.reason, domain=DOMAIN, metadata=metadata)]
    packed = []
    if isinstance(error, errors.InvalidInputError) and error.field:
        violation = error_details_pb2.BadRequest.FieldViolation(field=error.field, description=message)
        packed.append(error_details_pb2.BadRequest(field_violations=[violation]))
    if isinstance(error, errors.ResourceExhaustedError) and error.retry_delay_ms > 0:
        delay = duration_pb2.Duration()
        delay.FromMilliseconds(error.retry_delay_ms)
        packed.append(error_details_pb2.RetryInfo(retry_delay=delay))
    for detail in (*details, *packed):
        wrapped = any_pb2.Any()
        wrapped.Pack(detail)
        status.details.append(wrapped)
    return status


def port_in_use(listen: str) -> errors.ConflictError:
    """The error of a server whose address another process holds."""
    return errors.ConflictError(
        f"server.listen {listen} cannot be used; end what uses the port (`ss -ltnp`), or give another with "
        "--listen HOST:PORT",
        reason="PORT_IN_USE",
        metadata={"listen": listen},
    )


def malformed_request() -> errors.InvalidInputError:
    """The error of a caller whose bytes are no message of the method's."""
    return errors.InvalidInputError(
        "the request's bytes are no message of this method's request type; build the client from this server's protos",
        reason="MALFORMED_REQUEST",
    )
