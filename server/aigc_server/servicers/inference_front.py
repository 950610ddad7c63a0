"""GRPCInferenceService of the engine process: the recommender here, the generators passed on to where they are."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, TypeVar

from google.protobuf.message import Message

from aigc.errors import ConflictError, UnavailableError
from aigc.oip import inference_pb2 as pb
from aigc.oip import inference_pb2_grpc as pb_grpc
from aigc_server.converters.inference import answer, metadata_to_proto, refuse_parameters
from aigc_server.converters.server_metadata import server_metadata
from aigc_server.converters.tensor import parameters_from_proto, tensors_from_proto
from aigc_server.forwarding import Relay
from aigc_server.inference.recommender import RECOMMENDER, RecommenderModel
from aigc_server.inference.signature import Parameters

__all__ = ["InferenceFrontServicer"]

M = TypeVar("M", bound=Message)
_VERSION = 1
_OFF = "GENERATION_OFF"


class InferenceFrontServicer(pb_grpc.GRPCInferenceServiceServicer):
    """The Open Inference Protocol over gRPC."""

    def __init__(self, recommender: RecommenderModel, relay: Relay, ready: Callable[[], bool]) -> None:
        """Args: recommender: what is answered here; relay: to the generators; ready: whether calls are taken."""
        self._recommender = recommender
        self._relay = relay
        self._ready = ready

    async def ServerLive(self, request: pb.ServerLiveRequest, context: Any) -> pb.ServerLiveResponse:
        """See the proto."""
        return pb.ServerLiveResponse(live=True)

    async def ServerReady(self, request: pb.ServerReadyRequest, context: Any) -> pb.ServerReadyResponse:
        """See the proto."""
        return pb.ServerReadyResponse(ready=self._ready())

    async def ServerMetadata(self, request: pb.ServerMetadataRequest, context: Any) -> pb.ServerMetadataResponse:
        """See the proto."""
        return server_metadata()

    async def ModelReady(self, request: pb.ModelReadyRequest, context: Any) -> pb.ModelReadyResponse:
        """See the proto."""
        if request.name == RECOMMENDER:
            return pb.ModelReadyResponse(ready=self._ready())
        return await self._passed_on("ModelReady", request, pb.ModelReadyResponse, context)

    async def ModelMetadata(self, request: pb.ModelMetadataRequest, context: Any) -> pb.ModelMetadataResponse:
        """See the proto."""
        if request.name == RECOMMENDER:
            return metadata_to_proto(RECOMMENDER, [_VERSION], "aigc_recommender", self._recommender.signature)
        return await self._passed_on("ModelMetadata", request, pb.ModelMetadataResponse, context)

    async def ModelInfer(self, request: pb.ModelInferRequest, context: Any) -> pb.ModelInferResponse:
        """See the proto."""
        if request.model_name != RECOMMENDER:
            return await self._passed_on("ModelInfer", request, pb.ModelInferResponse, context)
        signature = self._recommender.signature
        given = tensors_from_proto(request)
        parameters = Parameters(parameters_from_proto(request.parameters), signature.parameters)
        wanted = signature.wanted([output.name for output in request.outputs])
        outputs = await asyncio.to_thread(self._recommender.infer, given, parameters)
        return answer(request, str(_VERSION), outputs, wanted)

    async def RepositoryIndex(self, request: pb.RepositoryIndexRequest, context: Any) -> pb.RepositoryIndexResponse:
        """See the proto."""
        try:
            response = await self._passed_on("RepositoryIndex", request, pb.RepositoryIndexResponse, context)
        except UnavailableError as error:
            # Without generators the recommender is all there is.
            if error.reason != _OFF:
                raise
            response = pb.RepositoryIndexResponse()
        state, reason = ("READY", "") if self._ready() else ("UNAVAILABLE", "the server is ending")
        if self._ready() or not request.ready:
            response.models.add(name=RECOMMENDER, version=str(_VERSION), state=state, reason=reason)
        return response

    async def RepositoryModelLoad(
        self, request: pb.RepositoryModelLoadRequest, context: Any
    ) -> pb.RepositoryModelLoadResponse:
        """See the proto."""
        if request.model_name == RECOMMENDER:
            refuse_parameters(request.parameters)
            return pb.RepositoryModelLoadResponse()
        return await self._passed_on("RepositoryModelLoad", request, pb.RepositoryModelLoadResponse, context)

    async def RepositoryModelUnload(
        self, request: pb.RepositoryModelUnloadRequest, context: Any
    ) -> pb.RepositoryModelUnloadResponse:
        """See the proto."""
        if request.model_name == RECOMMENDER:
            raise ConflictError(
                "the recommender is what this server is for and stays in memory; unload a generator, or end the server",
                reason="MODEL_IN_USE",
            )
        return await self._passed_on("RepositoryModelUnload", request, pb.RepositoryModelUnloadResponse, context)

    async def _passed_on(self, method: str, request: Message, response: type[M], context: Any) -> M:
        data = await self._relay.unary(
            f"/inference.GRPCInferenceService/{method}", request.SerializeToString(), context
        )
        return response.FromString(data)
