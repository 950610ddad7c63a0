"""Pictures and recordings ↔ wire."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import soundfile
from numpy.typing import NDArray

from aigc.errors import InvalidInputError
from aigc.generate.base import GeneratedSound
from aigc.generate.postprocess_images import ImagePostProcessing
from aigc.prepare.picture import encode_png
from aigc.services.picture_generation import MadePicture, PictureOrder, SoundOrder
from aigc.v1 import generation_pb2 as pb
from aigc.v1 import generation_service_pb2 as service_pb

__all__ = [
    "end_from_proto",
    "image_to_proto",
    "latents_from_proto",
    "picture_order",
    "processing_from_proto",
    "sound_order",
    "sound_to_proto",
]


def picture_order(request: service_pb.GenerateImagesRequest) -> PictureOrder:
    """What a call for pictures asks for."""
    return PictureOrder(
        request.model,
        request.n,
        list(request.classes),
        list(request.captions),
        list(request.seeds),
        request.truncation if request.HasField("truncation") else 1.0,
        latents_from_proto(request.latents, "latents") if request.latents else None,
        processing_from_proto(request.processing),
    )


def processing_from_proto(processing: pb.ImageProcessing) -> ImagePostProcessing:
    """What is to be done to each picture.

    Raises:
        InvalidInputError: ``upscale`` is another number than 0, 2 or 4.
    """
    if processing.upscale not in (0, 2, 4):
        raise InvalidInputError(
            f"processing.upscale is {processing.upscale}; give 2, 4, or 0 for none", field="processing.upscale"
        )
    return ImagePostProcessing(
        denoise=processing.denoise,
        contrast=processing.contrast,
        scale=processing.upscale or 1,
        sharpen=1.0 if processing.sharpen else 0.0,
    )


def end_from_proto(request: service_pb.InterpolateRequest, name: str) -> NDArray[np.float32] | bytes:
    """One end of an interpolation: a point or an encoded picture.

    Raises:
        InvalidInputError: Neither was given.
    """
    given = request.WhichOneof(name)  # type: ignore[call-overload]
    if given is None:
        raise InvalidInputError(f"{name} is missing; give {name}_latent or {name}_image", field=name)
    value = getattr(request, given)
    return value if isinstance(value, bytes) else np.array(value.values, np.float32)


def sound_order(request: service_pb.GenerateAudioRequest) -> SoundOrder:
    """What a call for recordings asks for."""
    truncation = request.truncation if request.HasField("truncation") else 1.0
    return SoundOrder(request.model, request.n, list(request.classes), list(request.seeds), truncation)


def latents_from_proto(latents: Sequence[pb.Latent], field: str) -> NDArray[np.float32]:
    """(n, size) float32.

    Raises:
        InvalidInputError: They are not of one size.
    """
    sizes = {len(latent.values) for latent in latents}
    if len(sizes) > 1:
        raise InvalidInputError(f"{field} have {sorted(sizes)} values; give all of them one size", field=field)
    return np.array([latent.values for latent in latents], np.float32).reshape(len(latents), -1)


def image_to_proto(made: MadePicture, image_format: int) -> pb.GeneratedImage:
    """A picture as PNG or as numbers."""
    image, shown = made.image, made.pixels
    height, width, channels = shown.shape
    data: dict[str, Any]
    if image_format == pb.IMAGE_FORMAT_TENSOR:
        data = {"tensor": pb.FloatTensor(shape=shown.shape, values=(shown.astype(np.float32) / 255).ravel())}
    else:
        data = {"png": encode_png(shown)}
    return pb.GeneratedImage(
        **data,
        width=width,
        height=height,
        channels=channels,
        seed=image.seed,
        label=image.label,
        latent=pb.Latent(values=image.latent),
        quality=None if math.isnan(image.quality) else image.quality,
        processing=made.processing,
    )


def sound_to_proto(sound: GeneratedSound, tensor: bool) -> pb.GeneratedAudio:
    """A recording as a wav file or as numbers."""
    data: dict[str, Any]
    if tensor:
        data = {"tensor": pb.FloatTensor(shape=sound.samples.shape, values=sound.samples)}
    else:
        file = io.BytesIO()
        soundfile.write(file, sound.samples, sound.rate, format="WAV", subtype="PCM_16")
        data = {"wav": file.getvalue()}
    return pb.GeneratedAudio(
        **data,
        rate=sound.rate,
        seed=sound.seed,
        label=sound.label,
        latent=pb.Latent(values=sound.latent),
        quality=None if math.isnan(sound.quality) else sound.quality,
    )
