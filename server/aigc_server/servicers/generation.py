"""GenerationService."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

from aigc.services.picture_generation import MadePicture, PictureGeneration
from aigc.services.text_generation import TextGeneration
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
from aigc_server.converters.text import piece_to_proto, text_processing_from_proto, text_request_from_proto
from aigc_server.in_thread import in_thread
from aigc_server.piece_stream import arriving

__all__ = ["GenerationServicer"]

_DEFAULT_STEPS = 8


class GenerationServicer(pb_grpc.GenerationServiceServicer):
    """Generated content over gRPC."""

    def __init__(self, pictures: PictureGeneration, texts: TextGeneration) -> None:
        """Args: pictures: what makes pictures and recordings; texts: what writes."""
        self._pictures = pictures
        self._texts = texts

    async def GenerateText(
        self, request: pb.GenerateTextRequest, context: Any
    ) -> AsyncIterator[pb.GenerateTextResponse]:
        """See the proto."""
        pieces = await asyncio.to_thread(
            self._texts.open,
            request.model,
            text_request_from_proto(request),
            seeded=request.HasField("seed"),
            processing=text_processing_from_proto(request),
            seconds_left=context.time_remaining(),
        )
        async with aclosing(arriving(pieces)) as coming:
            async for piece in coming:
                yield piece_to_proto(piece)

    async def GenerateImages(self, request: pb.GenerateImagesRequest, context: Any) -> pb.GenerateImagesResponse:
        """See the proto."""
        order = picture_order(request)
        model, made = await in_thread(lambda gone: self._pictures.images(order, gone))
        return pb.GenerateImagesResponse(images=_images(made, request.format), model=model.info.id)

    async def GenerateAudio(self, request: pb.GenerateAudioRequest, context: Any) -> pb.GenerateAudioResponse:
        """See the proto."""
        order = sound_order(request)
        model, made = await in_thread(lambda gone: self._pictures.sounds(order, gone))
        recordings = [sound_to_proto(sound, request.tensor) for sound in made]
        return pb.GenerateAudioResponse(recordings=recordings, model=model.info.id)

    async def Encode(self, request: pb.EncodeRequest, context: Any) -> pb.EncodeResponse:
        """See the proto."""
        images = list(request.images)
        model, latents = await in_thread(lambda gone: self._pictures.encode(request.model, images, gone))
        return pb.EncodeResponse(latents=[generation_pb2.Latent(values=z) for z in latents], model=model.info.id)

    async def Decode(self, request: pb.DecodeRequest, context: Any) -> pb.DecodeResponse:
        """See the proto."""
        latents = latents_from_proto(request.latents, "latents")
        processing = processing_from_proto(request.processing)
        model, made = await in_thread(lambda gone: self._pictures.decode(request.model, latents, gone, processing))
        return pb.DecodeResponse(images=_images(made, request.format), model=model.info.id)

    async def Interpolate(self, request: pb.InterpolateRequest, context: Any) -> pb.InterpolateResponse:
        """See the proto."""
        start, end = end_from_proto(request, "start"), end_from_proto(request, "end")
        steps = request.steps or _DEFAULT_STEPS
        model, made = await in_thread(
            lambda gone: self._pictures.interpolate(request.model, start, end, steps, gone, linear=request.linear)
        )
        return pb.InterpolateResponse(images=_images(made, request.format), model=model.info.id)


def _images(made: list[MadePicture], image_format: int) -> list[generation_pb2.GeneratedImage]:
    return [image_to_proto(picture, image_format) for picture in made]
