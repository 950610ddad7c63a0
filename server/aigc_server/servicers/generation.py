"""GenerationService."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from typing import Any, TypeVar

from aigc.errors import UnavailableError
from aigc.services.picture_generation import MadePicture, PictureGeneration
from aigc.v1 import generation_pb2
from aigc.v1 import generation_service_pb2 as pb
from aigc.v1 import generation_service_pb2_grpc as pb_grpc
from aigc_server.converters.generation import (
    end_from_proto,
    image_to_proto,
    latents_from_proto,
    picture_order,
    processing_from_proto,
    sound_order,
    sound_to_proto,
)

__all__ = ["GenerationServicer"]

T = TypeVar("T")
_DEFAULT_STEPS = 8


class GenerationServicer(pb_grpc.GenerationServiceServicer):
    """Generated content over gRPC."""

    def __init__(self, pictures: PictureGeneration) -> None:
        """Args: pictures: what makes pictures and recordings."""
        self._pictures = pictures

    async def GenerateText(
        self, request: pb.GenerateTextRequest, context: Any
    ) -> AsyncIterator[pb.GenerateTextResponse]:
        """See the proto."""
        for _ in request.stop[:0]:
            yield pb.GenerateTextResponse()
        raise UnavailableError("texts are not generated yet; ask for pictures", reason="NO_TEXT_ENGINE")

    async def GenerateImages(self, request: pb.GenerateImagesRequest, context: Any) -> pb.GenerateImagesResponse:
        """See the proto."""
        order = picture_order(request)
        model, made = await _in_thread(lambda gone: self._pictures.images(order, gone))
        return pb.GenerateImagesResponse(images=_images(made, request.format), model=model.info.id)

    async def GenerateAudio(self, request: pb.GenerateAudioRequest, context: Any) -> pb.GenerateAudioResponse:
        """See the proto."""
        order = sound_order(request)
        model, made = await _in_thread(lambda gone: self._pictures.sounds(order, gone))
        recordings = [sound_to_proto(sound, request.tensor) for sound in made]
        return pb.GenerateAudioResponse(recordings=recordings, model=model.info.id)

    async def Encode(self, request: pb.EncodeRequest, context: Any) -> pb.EncodeResponse:
        """See the proto."""
        images = list(request.images)
        model, latents = await _in_thread(lambda gone: self._pictures.encode(request.model, images, gone))
        return pb.EncodeResponse(latents=[generation_pb2.Latent(values=z) for z in latents], model=model.info.id)

    async def Decode(self, request: pb.DecodeRequest, context: Any) -> pb.DecodeResponse:
        """See the proto."""
        latents = latents_from_proto(request.latents, "latents")
        processing = processing_from_proto(request.processing)
        model, made = await _in_thread(lambda gone: self._pictures.decode(request.model, latents, gone, processing))
        return pb.DecodeResponse(images=_images(made, request.format), model=model.info.id)

    async def Interpolate(self, request: pb.InterpolateRequest, context: Any) -> pb.InterpolateResponse:
        """See the proto."""
        start, end = end_from_proto(request, "start"), end_from_proto(request, "end")
        steps = request.steps or _DEFAULT_STEPS
        model, made = await _in_thread(
            lambda gone: self._pictures.interpolate(request.model, start, end, steps, gone, linear=request.linear)
        )
        return pb.InterpolateResponse(images=_images(made, request.format), model=model.info.id)


def _images(made: list[MadePicture], image_format: int) -> list[generation_pb2.GeneratedImage]:
    return [image_to_proto(picture, image_format) for picture in made]


async def _in_thread(work: Callable[[Callable[[], bool]], T]) -> T:
    """Work in a thread that is told when the call was cancelled or its deadline passed."""
    gone = threading.Event()
    try:
        return await asyncio.to_thread(work, gone.is_set)
    finally:
        gone.set()
