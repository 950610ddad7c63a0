"""Pictures of one shape to learn from."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from aigc.collect.idx import read_idx_arrays
from aigc.entities import Item
from aigc.errors import InvalidInputError
from aigc.generate.base import ImageData
from aigc.prepare.picture import BadPictureError, decode_picture
from aigc.training.data_options import ImageDataOptions
from aigc.training.data_parts import class_labels, divide, refuse_few, sorted_names
from aigc.training.data_source import DataChoice

__all__ = ["images_of_arrays", "images_of_items"]

_REMEDY = "import some with `aigc import images PATH`, ask for other kinds or categories, or give another path"
_HAN = re.compile(r"[\u3400-\u9fff]")
_HELD_OUT = ("t10k", "test", "valid")
_MULTIPLE = 8
Prepared = tuple[ImageData, ImageData, list[str]]


def images_of_items(
    items: Iterable[Item],
    choice: DataChoice,
    options: ImageDataOptions,
    *,
    captions: bool = False,
    classes: Sequence[str] = (),
) -> Prepared:
    """Decode, bring to one shape, divide.

    Args:
        items: With pictures.
        choice: Where they come from.
        options: Shape and division.
        captions: Items without a title are left out.
        classes: Items of none of these are left out, and these are the classes; empty for those of the items.

    Raises:
        InvalidInputError: There are too few, or no size that at least half of them have.
    """
    pictures: list[Image.Image] = []
    kept: list[Item] = []
    broken = untitled = strange = 0
    for item in items:
        if item.content is None:
            continue
        if captions and not _caption(item):
            untitled += 1
            continue
        if classes and set(classes).isdisjoint(item.categories):
            strange += 1
            continue
        try:
            picture = decode_picture(item.content.data)
        except BadPictureError:
            broken += 1
            continue
        # Made small at once: a catalogue of photographs would not fit into memory.
        wanted = options.shape or _fitting(picture.height, picture.width, options.largest_side)
        if options.shape is None and wanted != (picture.height, picture.width):
            picture = _resized(picture, wanted)
        elif options.shape is not None and max(picture.size) > 4 * max(wanted):
            picture.thumbnail((4 * wanted[1], 4 * wanted[0]))
        pictures.append(picture)
        kept.append(item)
    notes = [f"{broken:,} left out: pictures that do not decode"] if broken else []
    notes += [f"{untitled:,} left out: pictures without a title to caption them"] if untitled else []
    notes += [f"{strange:,} left out: pictures of no class that the model knows"] if strange else []
    what = "pictures with a title" if captions else "pictures"
    refuse_few(len(pictures), what, choice.in_words, choice.remedy(_REMEDY))
    shape = options.shape or _common_size(pictures, choice)
    resized = sum((p.height, p.width) != shape for p in pictures)
    if resized:
        notes.append(f"{resized:,} pictures were brought to {shape[0]} × {shape[1]}")
        pictures = [p if (p.height, p.width) == shape else _resized(p, shape) for p in pictures]
    pixels = _pixels(pictures, options.channels)
    labels, names = np.empty(0, np.int64), tuple(classes)
    if classes:
        labels = np.array([names.index(next(c for c in i.categories if c in names)) for i in kept], np.int64)
    elif options.labels:
        labels, names, more = class_labels(kept, choice.categories)
        notes += more
    return _divided(pixels, labels, names, [_caption(item) for item in kept], options, notes)


def images_of_arrays(files: Sequence[Path], choice: DataChoice, options: ImageDataOptions) -> Prepared:
    """Pictures of IDX files; a file of test pictures beside one to learn from is what is held out.

    Raises:
        InvalidInputError: A file is broken, the files differ in size, or there are too few pictures.
    """
    read = {file: read_idx_arrays(file) for file in files}
    if len({pixels.shape[1:] for pixels, _ in read.values()}) > 1 and options.shape is None:
        raise InvalidInputError(
            f"the files of {choice.path} hold pictures of several sizes; name one file, or give data.size", field="data"
        )
    tests = [file for file in files if file.name.startswith(_HELD_OUT)]
    parts = [[f for f in files if f not in tests], tests] if tests and len(tests) < len(files) else [list(files)]
    joined = []
    for part in parts:
        pixels = np.concatenate([read[f][0] for f in part])
        labels = np.concatenate([read[f][1] for f in part])
        if choice.categories and len(labels) == len(pixels):
            wanted = np.isin(labels.astype(str), list(choice.categories))
            pixels, labels = pixels[wanted], labels[wanted]
        joined.append((_shaped(pixels, options), labels if len(labels) == len(pixels) else np.empty(0, np.int64)))
    refuse_few(sum(len(p) for p, _ in joined), "pictures", choice.in_words, choice.remedy(_REMEDY))
    names = sorted_names({str(label) for _, labels in joined for label in labels.tolist()}) if options.labels else ()
    places = {int(name): row for row, name in enumerate(names)}
    data = [
        ImageData(pixels, np.array([places[v] for v in labels.tolist()] if names else [], np.int64), names)
        for pixels, labels in joined
    ]
    if len(data) == 2 and not options.limit:
        return data[0], data[1], [f"held out: {', '.join(f.name for f in tests)}"]
    if len(data) == 2:
        train, _ = divide(len(data[0].pixels), 0.0, options.limit, options.seed, least=1)
        return _taken(data[0], train), data[1], [f"held out: {', '.join(f.name for f in tests)}"]
    return _divided(data[0].pixels, data[0].labels, names, [], options, [])


def _divided(
    pixels: NDArray[np.uint8],
    labels: NDArray[np.int64],
    classes: Sequence[str],
    captions: list[str],
    options: ImageDataOptions,
    notes: list[str],
) -> Prepared:
    whole = ImageData(pixels, labels, tuple(classes), tuple(captions))
    train, held_out = divide(len(pixels), options.held_out, options.limit, options.seed, least=2)
    return _taken(whole, train), _taken(whole, held_out), notes


def _taken(data: ImageData, rows: NDArray[np.int64]) -> ImageData:
    captions = tuple(data.captions[i] for i in rows) if data.captions else ()
    labels = data.labels[rows] if len(data.labels) else data.labels
    return ImageData(np.ascontiguousarray(data.pixels[rows]), labels, data.classes, captions)


def _caption(item: Item) -> str:
    """Several captions, one a line: each part of the title, alone and with the tags of its script."""
    parts = [part.strip() for part in item.title.replace("\n", " ").split(" · ") if part.strip()]
    tags = [tag.replace("\n", " ") for tag in item.tags]
    lines = [] if parts else [", ".join(tags)]
    for part in parts:
        words = [tag for tag in tags if bool(_HAN.search(tag)) == bool(_HAN.search(part)) and tag != part]
        lines += [part, ("，" if _HAN.search(part) else ", ").join([part, *words])]
    return "\n".join(dict.fromkeys(line for line in lines if line))


def _fitting(height: int, width: int, largest_side: int) -> tuple[int, int]:
    """The size itself, or one with its proportions whose sides are multiples of 8 and not too long."""
    if not largest_side or max(height, width) <= largest_side:
        return height, width
    factor = largest_side / max(height, width)
    most = largest_side // _MULTIPLE
    return tuple(_MULTIPLE * min(most, max(1, round(s * factor / _MULTIPLE))) for s in (height, width))  # type: ignore[return-value]


def _common_size(pictures: Sequence[Image.Image], choice: DataChoice) -> tuple[int, int]:
    sizes = Counter((p.height, p.width) for p in pictures)
    (height, width), count = sizes.most_common(1)[0]
    if 2 * count < len(pictures):
        raise InvalidInputError(
            f"the {len(pictures):,} pictures of {choice.in_words} have {len(sizes):,} sizes, and the most frequent, "
            f"{height}x{width}, is that of {count:,} alone; give the one they shall have: data.size={height}x{width}",
            field="data.size",
            reason="MIXED_SIZES",
        )
    return height, width


def _resized(picture: Image.Image, size: tuple[int, int]) -> Image.Image:
    return picture.resize((size[1], size[0]), Image.Resampling.LANCZOS, reducing_gap=3.0)


def _pixels(pictures: Sequence[Image.Image], channels: int) -> NDArray[np.uint8]:
    """(n, height, width, channels) uint8 with as many channels as were asked for, or as the pictures need."""
    if not channels:
        transparent = any(p.mode == "RGBA" for p in pictures)
        channels = 4 if transparent else 1 if all(map(_is_grey, pictures)) else 3
    mode = {1: "L", 3: "RGB", 4: "RGBA"}[channels]
    arrays = [np.asarray(p if p.mode == mode else _flat(p, mode).convert(mode), np.uint8) for p in pictures]
    return np.stack(arrays).reshape(len(arrays), *arrays[0].shape[:2], channels)


def _flat(picture: Image.Image, mode: str) -> Image.Image:
    """Without transparency, on white: what is behind a picture on a page."""
    if picture.mode != "RGBA" or mode == "RGBA":
        return picture
    page = Image.new("RGBA", picture.size, (255, 255, 255, 255))
    page.alpha_composite(picture)
    return page


def _is_grey(picture: Image.Image) -> bool:
    pixels = np.asarray(picture)
    return bool((pixels[..., 0] == pixels[..., 1]).all() and (pixels[..., 0] == pixels[..., 2]).all())


def _shaped(pixels: NDArray[np.uint8], options: ImageDataOptions) -> NDArray[np.uint8]:
    """(n, height, width, channels) of grey pictures (n, height, width)."""
    size = options.shape or _fitting(pixels.shape[1], pixels.shape[2], options.largest_side)
    if size != pixels.shape[1:]:
        pixels = np.stack([np.asarray(_resized(Image.fromarray(p), size)) for p in pixels])
    if options.channels <= 1:
        return pixels[..., None]
    coloured = np.repeat(pixels[..., None], 3, axis=3)
    return coloured if options.channels == 3 else np.pad(coloured, [(0, 0)] * 3 + [(0, 1)], constant_values=255)
