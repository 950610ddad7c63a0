"""The steps that an item can go through before it is stored."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from aigc.entities import Item, ItemContent
from aigc.prepare.pipeline import ItemPipeline, RefusedError, Step

__all__ = ["ITEM_STEPS", "PrepareOptions", "item_pipeline"]

_LANGUAGE_CHARACTERS = 2000


def _text(item: Item) -> Item:
    from aigc.prepare.text import clean_text

    clean = replace(
        item,
        title=clean_text(item.title),
        text=clean_text(item.text),
        author=clean_text(item.author),
        categories=_names(item.categories),
        tags=_names(item.tags),
    )
    return item if clean == item else clean


def _names(names: tuple[str, ...]) -> tuple[str, ...]:
    from aigc.prepare.text import clean_text

    return tuple(dict.fromkeys(n for n in (" ".join(clean_text(name).split()) for name in names) if n))


def _language(item: Item) -> Item:
    from aigc.prepare.language import detect_language

    if item.language:
        return item
    # A picture's title is often the name of its file.
    words = item.text or (item.title if item.content is None else "")
    language = detect_language(words[:_LANGUAGE_CHARACTERS])
    return item if language == "und" else replace(item, language=language)


def _picture(item: Item) -> Item:
    from aigc.prepare.picture import BadPictureError, normalise_picture

    if item.content is None or not item.content.media_type.startswith("image/"):
        return item
    try:
        normal = normalise_picture(item.content.data)
    except BadPictureError as error:
        raise RefusedError("content", str(error)) from error
    return item if normal is None else replace(item, content=ItemContent(normal[1], normal[0]))


def _denoise(item: Item) -> Item:
    from aigc.prepare.denoise import denoise
    from aigc.prepare.picture import BadPictureError, decode_picture, encode_png

    if item.content is None or not item.content.media_type.startswith("image/"):
        return item
    try:
        picture = decode_picture(item.content.data)
    except BadPictureError as error:
        raise RefusedError("content", str(error)) from error
    pixels = np.asarray(picture)
    smooth = denoise(np.ascontiguousarray(pixels[..., :3]))
    if np.array_equal(smooth, pixels[..., :3]):
        return item
    return replace(
        item, content=ItemContent("image/png", encode_png(np.concatenate([smooth, pixels[..., 3:]], axis=2)))
    )


def _blank(item: Item) -> Item:
    from aigc.prepare.picture import BadPictureError, decode_picture, is_blank

    if item.content is None or not item.content.media_type.startswith("image/"):
        return item
    try:
        blank = is_blank(decode_picture(item.content.data))
    except BadPictureError as error:
        raise RefusedError("content", str(error)) from error
    if blank:
        raise RefusedError("content", "shows nothing: all transparent, or of one colour")
    return item


def _sound(item: Item) -> Item:
    from aigc.prepare.sound import BadSoundError, clipped_share, decode_sound

    if item.content is None or not item.content.media_type.startswith("audio/"):
        return item
    try:
        sound = decode_sound(item.content.data)
    except BadSoundError as error:
        raise RefusedError("content", str(error)) from error
    clipped = clipped_share(sound)
    if clipped < 0.001 or "clipped" in item.attributes:
        return item
    return replace(item, attributes=dict(item.attributes) | {"clipped": f"{clipped:.3f}"})


_STEPS = (
    Step("text", "Unicode to NFC, markup to text, control characters and surplus white space out", _text),
    Step("language", "the language found out where none is given", _language),
    Step("picture", "turned upright, sides of 1,024 at most, metadata out; broken pictures refused", _picture),
    Step("denoise", "noise taken out of pictures that have much of it", _denoise),
    Step("blank", "pictures that show nothing refused", _blank),
    Step("sound", "broken recordings refused, overdriven ones marked", _sound),
)
ITEM_STEPS: Mapping[str, Step] = {step.name: step for step in _STEPS}


@dataclass(frozen=True, slots=True)
class PrepareOptions:
    """The ``[prepare]`` settings.

    Attributes:
        steps: What each imported item goes through, in order; names of :data:`ITEM_STEPS`.
    """

    steps: tuple[str, ...] = ("text", "language", "picture", "sound")

    def __post_init__(self) -> None:
        """Refuse unknown steps."""
        ItemPipeline.of(ITEM_STEPS, self.steps, "prepare.steps")


def item_pipeline(options: PrepareOptions) -> ItemPipeline:
    """A fresh pipeline, its report empty."""
    return ItemPipeline.of(ITEM_STEPS, options.steps, "prepare.steps")
