"""GRPCInferenceService of the generator process: the generators by the Open Inference Protocol."""

from __future__ import annotations

import asyncio
from typing import Any

from aigc.errors import AigcError, InvalidInputError
from aigc.generate.repository import ModelInfo
from aigc.oip import inference_pb2 as pb
from aigc.oip import inference_pb2_grpc as pb_grpc
from aigc.services.model_pool import ModelPool
from aigc_server.converters.inference import answer, metadata_to_proto, refuse_parameters
from aigc_server.converters.server_metadata import server_metadata
from aigc_server.converters.tensor import parameters_from_proto, tensors_from_proto
from aigc_server.inference.generators import GeneratorModels, signature_of
from aigc_server.inference.signature import Signature

__all__ = ["InferenceServicer"]

_PLATFORM = "aigc"


class InferenceServicer(pb_grpc.GRPCInferenceServiceServicer):
    """Generators over gRPC. A model is ready while it is in memory; a call for one that is not loads it first."""

    def __init__(self, pool: ModelPool, models: GeneratorModels) -> None:
        """Args: pool: the models in memory, over the repository on disk; models: what is called."""
        self._pool = pool
        self._models = models

    async def ServerLive(self, request: pb.ServerLiveRequest, context: Any) -> pb.ServerLiveResponse:
        """See the proto."""
        return pb.ServerLiveResponse(live=True)

    async def ServerReady(self, request: pb.ServerReadyRequest, context: Any) -> pb.ServerReadyResponse:
        """See the proto."""
        return pb.ServerReadyResponse(ready=True)

    async def ServerMetadata(self, request: pb.ServerMetadataRequest, context: Any) -> pb.ServerMetadataResponse:
        """See the proto."""
        return server_metadata()

    async def ModelReady(self, request: pb.ModelReadyRequest, context: Any) -> pb.ModelReadyResponse:
        """See the proto."""
        info = await self._info(request.name, request.version, "name")
        return pb.ModelReadyResponse(ready=info.id in self._pool.loaded())

    async def ModelMetadata(self, request: pb.ModelMetadataRequest, context: Any) -> pb.ModelMetadataResponse:
        """See the proto."""
        info = await self._info(request.name, request.version, "name")
        versions = [m.version for m in await asyncio.to_thread(self._pool.repository.models) if m.name == info.name]
        return metadata_to_proto(info.name, versions, f"{_PLATFORM}_{info.kind}", await self._signature(info))

    async def ModelInfer(self, request: pb.ModelInferRequest, context: Any) -> pb.ModelInferResponse:
        """See the proto."""
        given = tensors_from_proto(request)
        values = parameters_from_proto(request.parameters)
        info = await self._info(request.model_name, request.model_version, "model_name")
        model = await asyncio.to_thread(self._pool.get, info.id)
        wanted = signature_of(info, model).wanted([o.name for o in request.outputs])
        outputs = await self._models.infer(model, given, values, context.time_remaining())
        return answer(request, str(info.version), outputs, wanted)

    async def RepositoryIndex(self, request: pb.RepositoryIndexRequest, context: Any) -> pb.RepositoryIndexResponse:
        """See the proto."""
        loaded = self._pool.loaded()
        response = pb.RepositoryIndexResponse()
        for info in await asyncio.to_thread(self._pool.repository.models):
            ready = info.id in loaded
            if ready or not request.ready:
                state, reason = ("READY", "") if ready else ("UNAVAILABLE", "not in memory; a call loads it")
                response.models.add(name=info.name, version=str(info.version), state=state, reason=reason)
        return response

    async def RepositoryModelLoad(
        self, request: pb.RepositoryModelLoadRequest, context: Any
    ) -> pb.RepositoryModelLoadResponse:
        """See the proto."""
        refuse_parameters(request.parameters)
        info = await self._info(request.model_name, "", "model_name")
        await asyncio.to_thread(self._pool.get, info.id)
        return pb.RepositoryModelLoadResponse()

    async def RepositoryModelUnload(
        self, request: pb.RepositoryModelUnloadRequest, context: Any
    ) -> pb.RepositoryModelUnloadResponse:
        """See the proto."""
        info = await self._info(request.model_name, "", "model_name")
        await asyncio.to_thread(self._pool.forget, info.id)
        return pb.RepositoryModelUnloadResponse()

    async def _info(self, name: str, wanted: str, field: str) -> ModelInfo:
        if wanted and not wanted.isdigit():
            raise InvalidInputError(
                f"version is {wanted[:32]!r}; give a version's number, or leave it out", field=f"{field}_version"
            )
        reference = f"{name}@{wanted}" if wanted else name
        return await asyncio.to_thread(self._pool.repository.get, reference, field)

    async def _signature(self, info: ModelInfo) -> Signature:
        if info.kind != "huggingface":
            return signature_of(info)
        try:
            return signature_of(info, await asyncio.to_thread(self._pool.get, info.id))
        except AigcError:
            return signature_of(info)
