"""Pictures and recordings from trained generators: the use cases behind the calls."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from aigc.errors import CancelledError, InvalidInputError
from aigc.generate.base import (
    AudioGenerator,
    AudioRequest,
    GeneratedImage,
    GeneratedSound,
    ImageGenerator,
    ImageRequest,
    LatentModel,
)
from aigc.generate.postprocess_images import ImagePostProcessing, postprocess_image
from aigc.prepare.picture import BadPictureError, decode_picture
from aigc.services.generation_limits import GenerationLimits
from aigc.services.model_pool import LoadedModel, ModelPool
from aigc.services.turnstile import Turnstile

__all__ = ["MadePicture", "PictureGeneration", "PictureOrder", "SoundOrder"]

T = TypeVar("T")
# Pictures between two looks at whether the caller is still there.
_STRIDE = 16
_SEED_BITS = 53
_MODES = {1: "L", 3: "RGB", 4: "RGBA"}

_AS_IT_IS = ImagePostProcessing()

Gone = Callable[[], bool]


@dataclass(frozen=True, slots=True)
class PictureOrder:
    """What a call asks for.

    Attributes:
        model: ``name``, ``name@version`` or ``name@alias``.
        n: How many; 0 for as many as there are seeds, captions or latents, or 1.
        classes: None, one for all, or one each.
        captions: None, one for all, or one each.
        seeds: None, or one each.
        truncation: ψ in (0, 1].
        latents: (n, latent_size) float32, or None.
        processing: What to do to each afterwards.
    """

    model: str
    n: int = 0
    classes: Sequence[str] = ()
    captions: Sequence[str] = ()
    seeds: Sequence[int] = ()
    truncation: float = 1.0
    latents: NDArray[np.float32] | None = None
    processing: ImagePostProcessing = _AS_IT_IS


@dataclass(frozen=True, slots=True)
class MadePicture:
    """A picture as the model made it, as it is after processing, and what processing did, in words."""

    image: GeneratedImage
    pixels: NDArray[np.uint8]
    processing: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SoundOrder:
    """What a call asks for, with fields as in :class:`PictureOrder`."""

    model: str
    n: int = 0
    classes: Sequence[str] = ()
    seeds: Sequence[int] = ()
    truncation: float = 1.0


class PictureGeneration:
    """Works in strides, so that a caller who left, or whose deadline passed, is noticed within one."""

    def __init__(self, pool: ModelPool, turnstile: Turnstile, limits: GenerationLimits) -> None:
        """Args: pool: the models; turnstile: shared by all heavy work; limits: of a call."""
        self._pool = pool
        self._turnstile = turnstile
        self._limits = limits

    def images(self, order: PictureOrder, gone: Gone) -> tuple[LoadedModel, list[MadePicture]]:
        """Make pictures.

        Raises:
            InvalidInputError: Names the wrong field.
            NotFoundError: No such model.
            CancelledError: ``gone`` said so.
            ResourceExhaustedError: Too many calls wait.
        """
        latents = order.latents
        given = {
            "seeds": len(order.seeds),
            "latents": 0 if latents is None else len(latents),
            "captions": len(order.captions),
            "classes": len(order.classes),
        }
        n = self._count(order.n, given)
        model = self._pool.get(order.model)
        if not isinstance(model.generator, ImageGenerator):
            raise _wrong_kind(model, "pictures")
        request = ImageRequest(
            order.seeds or _draw_seeds(n),
            _spread(order.classes, n),
            _spread(order.captions, n),
            order.truncation,
            latents,
        )
        generator = model.generator

        def work(part: slice) -> list[MadePicture]:
            return _processed(generator.generate(_part(request, part)), order.processing)

        return model, self._strides(n, work, gone)

    def sounds(self, order: SoundOrder, gone: Gone) -> tuple[LoadedModel, list[GeneratedSound]]:
        """Make recordings; raises as :meth:`images`."""
        n = self._count(order.n, {"seeds": len(order.seeds), "classes": len(order.classes)})
        model = self._pool.get(order.model)
        if not isinstance(model.generator, AudioGenerator):
            raise _wrong_kind(model, "recordings")
        seeds, classes = order.seeds or _draw_seeds(n), _spread(order.classes, n)
        generator = model.generator

        def work(part: slice) -> list[GeneratedSound]:
            return generator.generate(AudioRequest(seeds[part], classes[part], order.truncation))

        return model, self._strides(n, work, gone)

    def encode(
        self, reference: str, images: Sequence[bytes], gone: Gone, field: str = "images"
    ) -> tuple[LoadedModel, NDArray[np.float32]]:
        """(n, latent_size) float32 of encoded pictures, brought to the model's size; raises as :meth:`images`."""
        self._count(len(images), {field: len(images)})
        _, _, shape = self._latent_model(reference)
        pixels = np.stack([self._pixels(data, shape, f"{field}[{i}]") for i, data in enumerate(images)])
        return self.encode_pixels(reference, pixels, gone, field)

    def encode_pixels(
        self, reference: str, pixels: NDArray[np.uint8], gone: Gone, field: str = "images"
    ) -> tuple[LoadedModel, NDArray[np.float32]]:
        """(n, latent_size) float32 of pictures (n, height, width, channels) of the model's size."""
        self._count(len(pixels), {field: len(pixels)})
        model, latent_model, shape = self._latent_model(reference)
        if pixels.shape[1:] != shape:
            raise InvalidInputError(
                f"{field} are of {pixels.shape[1:]}; the model's height, width and channels are {shape}", field=field
            )
        rows = self._strides(len(pixels), lambda part: list(latent_model.encode(pixels[part])), gone)
        return model, np.stack(rows)

    def decode(
        self,
        reference: str,
        latents: NDArray[np.float32],
        gone: Gone,
        processing: ImagePostProcessing = _AS_IT_IS,
    ) -> tuple[LoadedModel, list[MadePicture]]:
        """Pictures of (n, latent_size) points; raises as :meth:`images`."""
        n = self._count(len(latents), {"latents": len(latents)})
        model, latent_model, _ = self._latent_model(reference)
        _check_latents(latents, latent_model.latent_size, "latents")

        def work(part: slice) -> list[MadePicture]:
            pixels = latent_model.decode(latents[part])
            made = [GeneratedImage(p, 0, "", z) for p, z in zip(pixels, latents[part], strict=True)]
            return _processed(made, processing)

        return model, self._strides(n, work, gone)

    def interpolate(
        self,
        reference: str,
        start: NDArray[np.float32] | bytes,
        end: NDArray[np.float32] | bytes,
        steps: int,
        gone: Gone,
        *,
        linear: bool = False,
    ) -> tuple[LoadedModel, list[MadePicture]]:
        """``steps`` pictures from one point, or picture, to another; raises as :meth:`images`.

        Along the great circle (Shoemake 1985, slerp), where a Gaussian's mass lies, unless ``linear``.
        """
        if steps < 2:
            raise InvalidInputError(f"steps is {steps}; give at least 2, or 0 for 8", field="steps")
        ends = []
        for value, name in ((start, "start"), (end, "end")):
            point = self.encode(reference, [value], gone, f"{name}_image")[1][0] if isinstance(value, bytes) else value
            _check_latents(point[None], self._latent_model(reference)[1].latent_size, f"{name}_latent")
            ends.append(point)
        return self.decode(reference, _between(ends[0], ends[1], steps, linear), gone)

    def _latent_model(self, reference: str) -> tuple[LoadedModel, LatentModel, tuple[int, int, int]]:
        model = self._pool.get(reference)
        if not (isinstance(model.generator, LatentModel) and isinstance(model.generator, ImageGenerator)):
            raise _wrong_kind(model, "points of a latent space (a VAE does)")
        return model, model.generator, model.generator.image_shape

    def _pixels(self, data: bytes, shape: tuple[int, int, int], field: str) -> NDArray[np.uint8]:
        try:
            picture = decode_picture(data)
        except BadPictureError as error:
            raise InvalidInputError(f"{field} {error}; give a PNG, JPEG or other picture file", field=field) from error
        if picture.width * picture.height > self._limits.pixels:
            raise InvalidInputError(
                f"{field} has {picture.width} × {picture.height} pixels; at most {self._limits.pixels} are allowed",
                field=field,
            )
        height, width, channels = shape
        fitted = picture.convert(_MODES[channels]).resize((width, height), Image.Resampling.LANCZOS)
        return np.asarray(fitted, np.uint8).reshape(shape)

    def _count(self, n: int, given: dict[str, int]) -> int:
        """How many are wanted; what is given one each must agree."""
        wanted = n or max((count for count in given.values() if count), default=1)
        if not 1 <= wanted <= self._limits.images:
            raise InvalidInputError(f"n is {wanted}; give 1 to {self._limits.images}", field="n")
        for name, count in given.items():
            single = name in ("captions", "classes") and count == 1
            if count not in (0, wanted) and not single:
                raise InvalidInputError(f"{name} has {count} entries for n = {wanted}; give one each", field=name)
        return wanted

    def _strides(self, n: int, work: Callable[[slice], list[T]], gone: Gone) -> list[T]:
        made: list[T] = []
        for start in range(0, n, _STRIDE):
            with self._turnstile.turn(gone):
                if gone():
                    raise CancelledError(f"the caller left, or the deadline passed, after {start} of {n}")
                made += work(slice(start, min(n, start + _STRIDE)))
        return made


def _part(request: ImageRequest, part: slice) -> ImageRequest:
    latents = None if request.latents is None else request.latents[part]
    return replace(
        request,
        seeds=request.seeds[part],
        classes=request.classes[part],
        captions=request.captions[part],
        latents=latents,
    )


def _processed(made: list[GeneratedImage], wanted: ImagePostProcessing) -> list[MadePicture]:
    if wanted == _AS_IT_IS:
        return [MadePicture(image, image.pixels) for image in made]
    return [MadePicture(image, *postprocess_image(image.pixels, wanted)) for image in made]


def _draw_seeds(n: int) -> list[int]:
    return [secrets.randbits(_SEED_BITS) for _ in range(n)]


def _spread(values: Sequence[str], n: int) -> Sequence[str]:
    return list(values) * n if len(values) == 1 else values


def _check_latents(latents: NDArray[np.float32], size: int, field: str) -> None:
    if latents.ndim != 2 or latents.shape[1] != size or not np.isfinite(latents).all():
        raise InvalidInputError(f"{field} of shape {latents.shape}; give {size} finite numbers each", field=field)


def _between(start: NDArray[np.float32], end: NDArray[np.float32], steps: int, linear: bool) -> NDArray[np.float32]:
    share = np.linspace(0, 1, steps)[:, None]
    a, b = start.astype(np.float64), end.astype(np.float64)
    cosine = float(a @ b) / max(float(np.linalg.norm(a)) * float(np.linalg.norm(b)), 1e-12)
    angle = np.arccos(np.clip(cosine, -1, 1))
    if linear or np.sin(angle) < 1e-4:
        return np.asarray((1 - share) * a + share * b, np.float32)
    mixed = (np.sin((1 - share) * angle) * a + np.sin(share * angle) * b) / np.sin(angle)
    return np.asarray(mixed, np.float32)


def _wrong_kind(model: LoadedModel, wanted: str) -> InvalidInputError:
    return InvalidInputError(
        f"model {model.info.id} is a {model.info.kind}, which gives no {wanted}; list models with ListModels",
        field="model",
        reason="WRONG_MODEL_KIND",
    )
