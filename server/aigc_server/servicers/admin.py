"""AdminService."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from aigc.services.admin import Admin, BuildProgress
from aigc.v1 import admin_service_pb2 as pb
from aigc.v1 import admin_service_pb2_grpc as pb_grpc
from aigc_server.converters.admin import snapshot_to_proto, status_to_proto, strategy_to_proto

__all__ = ["AdminServicer"]


class AdminServicer(pb_grpc.AdminServiceServicer):
    """An operator's calls over gRPC."""

    def __init__(self, admin: Admin) -> None:
        """Args: admin: what is called."""
        self._admin = admin

    async def BuildSnapshot(
        self, request: pb.BuildSnapshotRequest, context: Any
    ) -> AsyncIterator[pb.BuildSnapshotResponse]:
        """See the proto; each step of the build runs in a thread, so that the caller can leave between two."""
        steps = self._admin.build_snapshot()
        try:
            while (step := await asyncio.shield(asyncio.to_thread(next, steps, None))) is not None:
                yield _progress(step)
        finally:
            await asyncio.to_thread(_close, steps)

    async def GetStatus(self, request: pb.GetStatusRequest, context: Any) -> pb.GetStatusResponse:
        """See the proto."""
        return status_to_proto(await asyncio.to_thread(self._admin.status))

    async def ListStrategies(self, request: pb.ListStrategiesRequest, context: Any) -> pb.ListStrategiesResponse:
        """See the proto."""
        return pb.ListStrategiesResponse(strategies=[strategy_to_proto(s) for s in self._admin.strategies()])

    async def ReloadStrategies(self, request: pb.ReloadStrategiesRequest, context: Any) -> pb.ReloadStrategiesResponse:
        """See the proto."""
        strategies = await asyncio.to_thread(self._admin.reload_strategies)
        return pb.ReloadStrategiesResponse(strategies=[strategy_to_proto(s) for s in strategies])


def _progress(step: BuildProgress) -> pb.BuildSnapshotResponse:
    return pb.BuildSnapshotResponse(
        stage=step.stage,
        fraction=step.fraction,
        snapshot=snapshot_to_proto(step.snapshot) if step.snapshot else None,
    )


def _close(steps: Any) -> None:
    """End a build that was left; a step that runs in a thread ends first."""
    while True:
        try:
            steps.close()
        except ValueError:
            # "generator already executing": the step of the cancelled call is still on its thread.
            continue
        return
