"""GenerationService."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from typing import Any, TypeVar

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

__all__ = ["GenerationServicer"]

T = TypeVar("T")
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
        loop, ready = asyncio.get_running_loop(), asyncio.Event()

        def wake() -> None:
            # The loop may be gone when the process ends.
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(ready.set)

        pieces.listen(wake)
        try:
            while True:
                await ready.wait()
                ready.clear()
                if (taken := pieces.take()) is None:
                    return
                for piece in taken:
                    yield piece_to_proto(piece)
                if taken:
                    # The last piece may have been among them.
                    ready.set()
        finally:
            pieces.cancel()

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
