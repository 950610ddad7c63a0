"""Pictures of one and the same thing: at another size, encoded again, cropped a little, or with noise."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from aigc.prepare.duplicates import DuplicatePair

__all__ = ["find_picture_duplicates"]

_SIDE = 16
# JPEG keeps colour at half the size and coarsely: only its rough distribution is compared.
_COLOUR_SIDE, _COLOUR_WEIGHT = 4, 3.0
_CROP = 0.05
_NEIGHBOURS = 8
# (left, top, right, bottom) in units of the crop.
_CROPS = (
    (0, 0, 0, 0),
    (1, 0, 0, 0),
    (0, 1, 0, 0),
    (0, 0, 1, 0),
    (0, 0, 0, 1),
    (0.5, 0.5, 0.5, 0.5),
    (1, 1, 1, 1),
)


def find_picture_duplicates(pictures: Sequence[Image.Image], *, distance: float = 9.0) -> list[DuplicatePair]:
    """Pairs that differ by at most ``distance`` when one of them is cropped by up to 5 % as suits best.

    Each picture, over white, is averaged to 16 × 16 pixels, which takes away noise and traces of encoding; the eight
    nearest are compared under seven crops of either, by the root mean square difference of brightness and colour.

    Args:
        pictures: n pictures.
        distance: In steps of 0 to 255.
    """
    import faiss

    if len(pictures) < 2:
        return []
    variants = np.stack([_variants(picture) for picture in pictures])
    index = faiss.IndexFlatL2(variants.shape[2])
    index.add(np.ascontiguousarray(variants[:, 0]))
    found: dict[tuple[int, int], float] = {}
    for crop in range(len(_CROPS)):
        _, near = index.search(np.ascontiguousarray(variants[:, crop]), min(_NEIGHBOURS + 1, len(pictures)))
        for a, others in enumerate(near.tolist()):
            for b in others:
                pair = (min(a, b), max(a, b))
                if a != b and pair not in found:
                    found[pair] = _difference(variants[a], variants[b])
    return [DuplicatePair(a, b, 1 - value / 255) for (a, b), value in sorted(found.items()) if value <= distance]


def _variants(picture: Image.Image) -> NDArray[np.float32]:
    rgba = picture.convert("RGBA")
    white = Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba).convert("YCbCr")
    width, height = white.size
    rows = []
    for left, top, right, bottom in _CROPS:
        box = (
            left * _CROP * width,
            top * _CROP * height,
            width * (1 - right * _CROP),
            height * (1 - bottom * _CROP),
        )
        small = np.asarray(white.resize((_SIDE, _SIDE), Image.Resampling.BOX, box=box), np.float32)
        step = _SIDE // _COLOUR_SIDE
        colour = small[..., 1:].reshape(_COLOUR_SIDE, step, _COLOUR_SIDE, step, 2).mean(axis=(1, 3))
        rows.append(np.concatenate([small[..., 0].ravel(), _COLOUR_WEIGHT * colour.ravel()]))
    return np.stack(rows)


def _difference(a: NDArray[np.float32], b: NDArray[np.float32]) -> float:
    """The least root mean square difference, either of the two being cropped."""
    one = ((a - b[0]) ** 2).mean(axis=1).min()
    other = ((b - a[0]) ** 2).mean(axis=1).min()
    return float(np.sqrt(min(one, other)))
