"""Steps that an item's picture goes through."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np

from aigc.entities import Item, ItemContent
from aigc.prepare.denoise import denoise
from aigc.prepare.picture import (
    BadPictureError,
    decode_picture,
    encode_picture,
    encode_png,
    is_blank,
    normalise_picture,
    resize_picture,
)
from aigc.prepare.pipeline import RefusedError, Step

__all__ = ["picture_steps"]

Change = Callable[[bytes], tuple[bytes, str] | None]


def picture_steps(side: int) -> tuple[Step, ...]:
    """``picture``, ``resize`` to sides of ``side`` pixels at most, ``denoise`` and ``blank``."""
    return (
        Step("picture", "turned upright, metadata out; broken pictures refused", partial(_changed, _normal)),
        Step("resize", f"sides of {side:,} pixels at most", partial(_changed, partial(_smaller, side))),
        Step("denoise", "noise taken out of pictures that have much of it", partial(_changed, _smooth)),
        Step("blank", "pictures that show nothing refused", partial(_changed, _shown)),
    )


def _changed(change: Change, item: Item) -> Item:
    if item.content is None or not item.content.media_type.startswith("image/"):
        return item
    try:
        new = change(item.content.data)
    except BadPictureError as error:
        raise RefusedError("content", str(error)) from error
    return item if new is None else replace(item, content=ItemContent(new[1], new[0]))


def _normal(data: bytes) -> tuple[bytes, str] | None:
    return normalise_picture(data)


def _smaller(side: int, data: bytes) -> tuple[bytes, str] | None:
    picture = decode_picture(data)
    return encode_picture(resize_picture(picture, side)) if max(picture.size) > side else None


def _smooth(data: bytes) -> tuple[bytes, str] | None:
    pixels = np.asarray(decode_picture(data))
    smooth = denoise(np.ascontiguousarray(pixels[..., :3]))
    if np.array_equal(smooth, pixels[..., :3]):
        return None
    return encode_png(np.concatenate([smooth, pixels[..., 3:]], axis=2)), "image/png"


def _shown(data: bytes) -> None:
    if is_blank(decode_picture(data)):
        raise RefusedError("content", "shows nothing: all transparent, or of one colour")
