"""Pictures: decoded within limits, upright, in one colour model."""

from __future__ import annotations

import io
import warnings

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

__all__ = [
    "BadPictureError",
    "decode_picture",
    "encode_picture",
    "encode_png",
    "is_blank",
    "normalise_picture",
    "resize_picture",
]

_MAX_PIXELS = 50_000_000
_MAX_SIDE = 50_000
_ORIENTATION = 0x0112
_PLAIN_MODES = ("L", "RGB", "RGBA")
_FEW_COLOURS = 256


class BadPictureError(ValueError):
    """A picture that cannot be used; the text is the reason."""


def decode_picture(data: bytes) -> Image.Image:
    """A picture in RGB, or RGBA where it has transparency: upright, 8 bits a channel, the first frame of several.

    Raises:
        BadPictureError: It does not decode to its end, has more than 50 million pixels, or a side above 50,000.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(io.BytesIO(data)) as opened:
                _check_size(opened)
                opened.load()
                return _plain(ImageOps.exif_transpose(opened))
    except BadPictureError:
        raise
    except Image.DecompressionBombError as error:
        raise BadPictureError("has more than 50 million pixels") from error
    except Exception as error:  # Pillow raises errors of many kinds for broken files
        raise BadPictureError("does not decode") from error


def normalise_picture(data: bytes) -> tuple[bytes, str] | None:
    """(bytes, media type) of a picture made upright and without metadata.

    None when there is nothing to do: then it stays byte for byte as it is.

    Raises:
        BadPictureError: See :func:`decode_picture`.
    """
    picture = decode_picture(data)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with Image.open(io.BytesIO(data)) as opened:
            exif = opened.getexif()
            plain = opened.mode in (*_PLAIN_MODES, "P", "1", "LA") and getattr(opened, "n_frames", 1) == 1
            if plain and exif.get(_ORIENTATION, 1) == 1 and not exif:
                return None
    return encode_picture(picture)


def resize_picture(picture: Image.Image, side: int) -> Image.Image:
    """The same with sides of ``side`` pixels at most; a smaller one stays as it is."""
    smaller = picture.copy()
    smaller.thumbnail((side, side), Image.Resampling.LANCZOS)
    return smaller


def encode_picture(picture: Image.Image) -> tuple[bytes, str]:
    """(bytes, media type): PNG where there is transparency or few colours, else JPEG."""
    target = io.BytesIO()
    if picture.mode == "RGBA" or picture.getcolors(_FEW_COLOURS) is not None:
        picture.save(target, "PNG")
        return target.getvalue(), "image/png"
    picture.save(target, "JPEG", quality=92)
    return target.getvalue(), "image/jpeg"


def encode_png(pixels: NDArray[np.uint8]) -> bytes:
    """(height, width, 1, 3 or 4) uint8 as a PNG file."""
    target = io.BytesIO()
    Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels).save(target, "PNG")
    return target.getvalue()


def is_blank(picture: Image.Image) -> bool:
    """Is there nothing to see: all transparent, or one colour but for a little noise?"""
    pixels = np.asarray(picture.convert("RGBA"), np.float32)
    alpha = pixels[..., 3:] / 255
    if alpha.max() < 0.02:
        return True
    shown = pixels[..., :3] * alpha + 255 * (1 - alpha)
    # A stroke is few pixels far from the rest; noise is many near it.
    far = np.abs(shown - np.median(shown, axis=(0, 1))).max(axis=2) > 24
    return bool(far.mean() < 0.001)


def _check_size(picture: Image.Image) -> None:
    width, height = picture.size
    if width * height > _MAX_PIXELS or max(width, height) > _MAX_SIDE:
        raise BadPictureError("has more than 50 million pixels")
    if not width or not height:
        raise BadPictureError("has no pixels")


def _plain(picture: Image.Image) -> Image.Image:
    if picture.mode in ("I", "I;16", "I;16B", "I;16L", "F"):
        # 16 bits a channel; Pillow would cut them off at 255.
        values = np.asarray(picture, np.float64)
        top = 65_535.0 if values.max() > 255 else 255.0
        return Image.fromarray((np.clip(values / top, 0, 1) * 255).astype(np.uint8)).convert("RGB")
    if picture.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in picture.info:
        return picture.convert("RGBA")
    return picture.convert("RGB")
