"""TrainingService."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from aigc.errors import UnavailableError
from aigc.services.training import ENDING, Training
from aigc.v1 import training_service_pb2 as pb
from aigc.v1 import training_service_pb2_grpc as pb_grpc
from aigc_server.converters.job import job_to_proto, recipe_to_proto, training_from_proto

__all__ = ["TrainingServicer"]


class TrainingServicer(pb_grpc.TrainingServiceServicer):
    """Training jobs over gRPC."""

    def __init__(self, training: Training) -> None:
        """Args: training: what is called."""
        self._training = training

    async def StartTraining(self, request: pb.StartTrainingRequest, context: Any) -> pb.StartTrainingResponse:
        """See the proto."""
        job = await asyncio.to_thread(self._training.submit, training_from_proto(request))
        return pb.StartTrainingResponse(job=job_to_proto(job))

    async def GetJob(self, request: pb.GetJobRequest, context: Any) -> pb.GetJobResponse:
        """See the proto."""
        return pb.GetJobResponse(job=job_to_proto(await asyncio.to_thread(self._training.get, request.id)))

    async def ListJobs(self, request: pb.ListJobsRequest, context: Any) -> pb.ListJobsResponse:
        """See the proto."""
        page = await asyncio.to_thread(self._training.list, request.page_size, request.page_token)
        return pb.ListJobsResponse(jobs=[job_to_proto(j) for j in page.jobs], next_page_token=page.next_page_token)

    async def WatchJob(self, request: pb.WatchJobRequest, context: Any) -> AsyncIterator[pb.WatchJobResponse]:
        """See the proto; a watcher holds no thread, and one that is slow is told of the newest change alone."""
        loop, changed = asyncio.get_running_loop(), asyncio.Event()
        end = self._training.listen(request.id, lambda: loop.call_soon_threadsafe(changed.set))
        try:
            shown = None
            while shown is None or not shown.ended:
                changed.clear()
                job = await asyncio.to_thread(self._training.get, request.id)
                if job is not shown:
                    yield pb.WatchJobResponse(job=job_to_proto(job))
                    shown = job
                elif self._training.closing:
                    raise UnavailableError(ENDING, reason="SERVER_ENDING")
                else:
                    await changed.wait()
        finally:
            end()

    async def CancelJob(self, request: pb.CancelJobRequest, context: Any) -> pb.CancelJobResponse:
        """See the proto."""
        return pb.CancelJobResponse(job=job_to_proto(await asyncio.to_thread(self._training.cancel, request.id)))

    async def ListRecipes(self, request: pb.ListRecipesRequest, context: Any) -> pb.ListRecipesResponse:
        """See the proto."""
        recipes = await asyncio.to_thread(self._training.recipes)
        return pb.ListRecipesResponse(recipes=[recipe_to_proto(r) for r in recipes])
