"""Pictures as tensors and back, and many of them on one sheet."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from aigc.errors import InvalidInputError

__all__ = ["draw_sheet", "premultiplied", "straight", "to_pixels", "to_tensor"]

_MODES = {1: "L", 3: "RGB", 4: "RGBA"}


def to_tensor(pixels: NDArray[np.uint8]) -> Tensor:
    """(n, C, H, W) float32 in [-1, 1] of (n, H, W, C) uint8; the memory stays pixel-major."""
    return torch.from_numpy(np.asarray(pixels, np.float32)).permute(0, 3, 1, 2) / 127.5 - 1


def to_pixels(pictures: Tensor) -> NDArray[np.uint8]:
    """(n, H, W, C) uint8 of (n, C, H, W) in [-1, 1]."""
    steps = ((pictures.detach().float() + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)
    return np.ascontiguousarray(steps.permute(0, 2, 3, 1).cpu().numpy())


def draw_sheet(pixels: NDArray[np.uint8], path: Path, *, columns: int, scale: int = 2, gap: int = 2) -> Path:
    """Write the pictures row by row onto one PNG file; transparency shows white.

    Args:
        pixels: (n, height, width, channels) uint8; 1, 3 or 4 channels.
        path: Of the file.
        columns: Pictures a row.
        scale: Each pixel becomes so many a side.
        gap: Pixels between pictures.
    """
    if pixels.ndim != 4 or pixels.shape[3] not in _MODES or not len(pixels):
        raise InvalidInputError(f"pixels of shape {pixels.shape}: no pictures of 1, 3 or 4 channels", field="pixels")
    n, height, width, channels = pixels.shape
    high, wide = height * scale + gap, width * scale + gap
    sheet = Image.new("RGB", (columns * wide + gap, math.ceil(n / columns) * high + gap), (128, 128, 128))
    for i, one in enumerate(pixels):
        picture = Image.fromarray(one[..., 0] if channels == 1 else one)
        picture = picture.resize((width * scale, height * scale), Image.Resampling.NEAREST)
        if channels == 4:
            picture = Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture)
        sheet.paste(picture.convert("RGB"), (gap + i % columns * wide, gap + i // columns * high))
    sheet.save(path, "PNG")
    return path


def premultiplied(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Colours times opacity, so that what cannot be seen has no colour; pictures without opacity as they are."""
    if pixels.shape[-1] != 4:
        return pixels
    alpha = pixels[..., 3:].astype(np.uint16)
    return np.concatenate([(pixels[..., :3] * alpha + 127) // 255, alpha], axis=-1).astype(np.uint8)


def straight(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The inverse of :func:`premultiplied`, as far as there is one."""
    if pixels.shape[-1] != 4:
        return pixels
    alpha = pixels[..., 3:].astype(np.float32)
    colours = np.where(alpha > 0, pixels[..., :3] * np.float32(255) / np.maximum(alpha, 1), 0).round().clip(0, 255)
    return np.concatenate([colours, alpha], axis=-1).astype(np.uint8)
