"""Snapshots, strategies and the status."""

from __future__ import annotations

from google.protobuf.duration_pb2 import Duration

from aigc.services import admin
from aigc.v1 import admin_service_pb2, snapshot_pb2, strategy_pb2
from aigc_server.converters.times import from_ms

__all__ = ["snapshot_to_proto", "status_to_proto", "strategy_to_proto"]


def snapshot_to_proto(snapshot: admin.SnapshotInfo) -> snapshot_pb2.Snapshot:
    """Domain → wire."""
    return snapshot_pb2.Snapshot(
        id=snapshot.id,
        create_time=from_ms(snapshot.created_ms),
        item_count=snapshot.items,
        user_count=snapshot.users,
        event_count=snapshot.events,
        embedding_size=snapshot.embedding_size,
        model_versions=dict(snapshot.models),
        size_bytes=snapshot.bytes,
    )


def strategy_to_proto(strategy: admin.StrategyInfo) -> strategy_pb2.Strategy:
    """Domain → wire; where the file lies on the server stays there."""
    return strategy_pb2.Strategy(name=strategy.name, description=strategy.description, sources=strategy.sources)


def status_to_proto(status: admin.Status) -> admin_service_pb2.GetStatusResponse:
    """Domain → wire."""
    uptime = Duration()
    uptime.FromMilliseconds(status.uptime_ms)
    return admin_service_pb2.GetStatusResponse(
        version=status.version,
        snapshot=snapshot_to_proto(status.snapshot) if status.snapshot else None,
        item_count=status.items,
        event_count=status.events,
        user_count=status.users,
        delta=dict(status.delta),
        uptime=uptime,
        problems=status.problems,
    )
