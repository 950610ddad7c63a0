"""ModelService."""

from __future__ import annotations

import asyncio
from typing import Any

from aigc.generate.repository import ModelInfo
from aigc.services.model_pool import ModelPool
from aigc.v1 import model_service_pb2 as pb
from aigc.v1 import model_service_pb2_grpc as pb_grpc
from aigc_server.converters.model import model_to_proto
from aigc_server.converters.paging import one_page

__all__ = ["ModelServicer"]


class ModelServicer(pb_grpc.ModelServiceServicer):
    """The model repository over gRPC."""

    def __init__(self, pool: ModelPool) -> None:
        """Args: pool: the models in memory, over the repository on disk."""
        self._pool = pool
        self._repository = pool.repository

    async def ListModels(self, request: pb.ListModelsRequest, context: Any) -> pb.ListModelsResponse:
        """See the proto."""
        models = await asyncio.to_thread(self._repository.models)
        wanted = [m for m in models if request.kind in ("", m.kind)]
        page, token = one_page(wanted, lambda m: f"{m.name}@{m.version:09d}", request.page_size, request.page_token)
        loaded = self._pool.loaded()
        return pb.ListModelsResponse(models=[model_to_proto(m, m.id in loaded) for m in page], next_page_token=token)

    async def GetModel(self, request: pb.GetModelRequest, context: Any) -> pb.GetModelResponse:
        """See the proto."""
        return pb.GetModelResponse(model=self._told(await asyncio.to_thread(self._repository.get, request.model)))

    async def LoadModel(self, request: pb.LoadModelRequest, context: Any) -> pb.LoadModelResponse:
        """See the proto."""
        loaded = await asyncio.to_thread(self._pool.get, request.model)
        return pb.LoadModelResponse(model=self._told(loaded.info))

    async def UnloadModel(self, request: pb.UnloadModelRequest, context: Any) -> pb.UnloadModelResponse:
        """See the proto."""
        return pb.UnloadModelResponse(model=self._told(await asyncio.to_thread(self._pool.unload, request.model)))

    async def SetModelAlias(self, request: pb.SetModelAliasRequest, context: Any) -> pb.SetModelAliasResponse:
        """See the proto."""
        info = await asyncio.to_thread(self._repository.set_alias, request.model, request.alias)
        return pb.SetModelAliasResponse(model=self._told(info))

    async def DeleteModelAlias(self, request: pb.DeleteModelAliasRequest, context: Any) -> pb.DeleteModelAliasResponse:
        """See the proto."""
        await asyncio.to_thread(self._repository.delete_alias, request.name, request.alias)
        return pb.DeleteModelAliasResponse()

    async def DeleteModel(self, request: pb.DeleteModelRequest, context: Any) -> pb.DeleteModelResponse:
        """See the proto."""
        info = await asyncio.to_thread(self._repository.delete, request.model)
        await asyncio.to_thread(self._pool.forget, info.id)
        return pb.DeleteModelResponse()

    def _told(self, info: ModelInfo) -> Any:
        return model_to_proto(info, info.id in self._pool.loaded())
