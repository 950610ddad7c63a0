"""What one connection may cost, on both fronts."""

from __future__ import annotations

from aigc_server.settings import ServerSettings

__all__ = ["connection_options"]


def connection_options(settings: ServerSettings) -> dict[str, int]:
    """GRPC's channel arguments for a public port.

    Without them a connection may open any number of calls and never read an answer (each is kept until it does), may
    stay for two minutes without having said what it speaks, and is kept for two hours when its machine has vanished.
    """
    return {
        "grpc.max_concurrent_streams": settings.max_streams,
        "grpc.server_handshake_timeout_ms": 20_000,
        "grpc.keepalive_time_ms": 60_000,
        "grpc.keepalive_timeout_ms": 20_000,
        "grpc.keepalive_permit_without_calls": 1,
        # Admission refuses with words; gRPC, from a thousand calls that wait to be begun, by a bare CANCELLED.
        "grpc.server.max_pending_requests": 1_000_000,
        "grpc.server.max_pending_requests_hard_limit": 1_000_000,
        # What callers may do: one ping in ten seconds, calls or none.
        "grpc.http2.min_ping_interval_without_data_ms": 10_000,
    }
