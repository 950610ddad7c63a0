"""What may be done to a generated picture afterwards; each step is asked for, and says what it did."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter, ImageOps

from aigc.errors import InvalidInputError
from aigc.prepare.denoise import denoise, estimate_noise

__all__ = ["ImagePostProcessing", "postprocess_image", "super_resolve"]

_SCALES = (1, 2, 4)
_CUTOFF = 0.5
_BACK_PROJECTIONS = 8
_MAX_PIXELS = 50_000_000


@dataclass(frozen=True, slots=True)
class ImagePostProcessing:
    """Steps wanted, done in this order.

    Attributes:
        denoise: Smooth what is no more than noise.
        contrast: Stretch the brightness to the whole range.
        scale: 2 or 4 for so many times the side; 1 leaves it.
        sharpen: Strength of the unsharp mask, 0 for none, up to 3; 1 adds once what blurring takes away.
    """

    denoise: bool = False
    contrast: bool = False
    scale: int = 1
    sharpen: float = 0.0

    def __post_init__(self) -> None:
        if self.scale not in _SCALES:
            raise InvalidInputError(f"scale is {self.scale}: take one of {_SCALES}", field="scale")
        if not 0 <= self.sharpen <= 3:
            raise InvalidInputError(f"sharpen is {self.sharpen}: take a strength from 0 to 3", field="sharpen")


def postprocess_image(
    pixels: NDArray[np.uint8], wanted: ImagePostProcessing
) -> tuple[NDArray[np.uint8], tuple[str, ...]]:
    """The picture after the steps, and a sentence for each that was asked for.

    Args:
        pixels: (height, width, channels) uint8; 1, 3 or 4 channels. Opacity is scaled and never filtered.
        wanted: The steps.

    Raises:
        InvalidInputError: Another shape, or more than 50 million pixels after scaling.
    """
    if pixels.ndim != 3 or pixels.shape[2] not in (1, 3, 4) or not pixels.size:
        raise InvalidInputError(f"pixels of shape {pixels.shape}: 1, 3 or 4 channels are needed", field="pixels")
    if pixels.shape[0] * pixels.shape[1] * wanted.scale**2 > _MAX_PIXELS:
        raise InvalidInputError(
            f"a picture of {pixels.shape[1]} × {pixels.shape[0]} times {wanted.scale} has more than {_MAX_PIXELS:,} "
            "pixels: take a smaller scale",
            field="scale",
        )
    said: list[str] = []
    if wanted.denoise:
        noise = estimate_noise(pixels[..., :3])
        before, pixels = pixels, _on_colours(pixels, denoise)
        done = "left as it is" if np.array_equal(before, pixels) else "smoothed"
        said.append(f"denoise: noise of {noise:.1f} of 255, {done}")
    if wanted.contrast:
        low, high = _range(pixels)
        pixels = _on_colours(pixels, _stretched)
        said.append(f"contrast: brightness {low} to {high} became {_range(pixels)[0]} to {_range(pixels)[1]}")
    if wanted.scale > 1:
        size = pixels.shape[:2]
        pixels = super_resolve(pixels, wanted.scale)
        said.append(f"super-resolve ×{wanted.scale}: {size[1]} × {size[0]} to {pixels.shape[1]} × {pixels.shape[0]}")
    if wanted.sharpen > 0:
        pixels = _on_colours(pixels, lambda colours: _sharpened(colours, wanted.sharpen, wanted.scale))
        said.append(f"sharpen: unsharp mask of strength {wanted.sharpen:g}")
    return pixels, tuple(said)


def super_resolve(pixels: NDArray[np.uint8], scale: int) -> NDArray[np.uint8]:
    """(scale · height, scale · width, channels) uint8: Lanczos, then back-projection (Irani and Peleg 1991).

    Each round shrinks the result, and adds back what it differs by from the picture, so that the result, made small
    again, is the picture: edges come out steeper than by any single interpolation.

    Args:
        pixels: (height, width, channels) uint8.
        scale: 2 or 4.
    """
    known = _weighted(pixels.astype(np.float32))  # colours times opacity
    height, width = pixels.shape[:2]
    size = (width * scale, height * scale)
    large = _resized(known, size, cv2.INTER_LANCZOS4)
    for _ in range(_BACK_PROJECTIONS):
        missing = known - _resized(large, (width, height), cv2.INTER_AREA)
        large = np.clip(large + _resized(missing, size, cv2.INTER_CUBIC), 0, 255)
    if pixels.shape[2] == 4:
        alpha = large[..., 3:]
        large[..., :3] = np.where(alpha > 0.5, large[..., :3] * 255 / np.maximum(alpha, 0.5), 0)
    return np.asarray(large.round().clip(0, 255), np.uint8)


def _resized(values: NDArray[np.float32], size: tuple[int, int], how: int) -> NDArray[np.float32]:
    # OpenCV drops the axis of a single channel.
    return np.asarray(cv2.resize(values, size, interpolation=how), np.float32).reshape(size[1], size[0], -1)


def _weighted(values: NDArray[np.float32]) -> NDArray[np.float32]:
    if values.shape[2] == 4:
        values[..., :3] *= values[..., 3:] / 255
    return values


def _on_colours(
    pixels: NDArray[np.uint8], change: Callable[[NDArray[np.uint8]], NDArray[np.uint8]]
) -> NDArray[np.uint8]:
    """Run on three channels whatever there are: grey is repeated, opacity set aside."""
    if pixels.shape[2] == 1:
        return change(np.ascontiguousarray(np.repeat(pixels, 3, axis=2)))[..., :1]
    colours = change(np.ascontiguousarray(pixels[..., :3]))
    return np.concatenate([colours, pixels[..., 3:]], axis=2)


def _range(pixels: NDArray[np.uint8]) -> tuple[int, int]:
    return int(pixels[..., :3].min()), int(pixels[..., :3].max())


def _stretched(colours: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """All channels by one curve, that of the brightness, so that hues stay."""
    return np.asarray(ImageOps.autocontrast(Image.fromarray(colours), cutoff=_CUTOFF, preserve_tone=True), np.uint8)


def _sharpened(colours: NDArray[np.uint8], strength: float, scale: int) -> NDArray[np.uint8]:
    mask = ImageFilter.UnsharpMask(radius=0.8 * scale, percent=round(100 * strength), threshold=2)
    return np.asarray(Image.fromarray(colours).filter(mask), np.uint8)
