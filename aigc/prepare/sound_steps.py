"""Steps that an item's recording goes through."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np

from aigc.entities import Item, ItemContent
from aigc.prepare.pipeline import RefusedError, Step
from aigc.prepare.sound import (
    BadSoundError,
    Sound,
    clipped_share,
    decode_sound,
    encode_sound,
    normalise_loudness,
    resample,
    trim_silence,
)

__all__ = ["sound_steps"]

_CLIPPED = 0.001
# A gain or a rounding that nobody hears.
_UNHEARD = 1e-3


def sound_steps(rate: int, lufs: float) -> tuple[Step, ...]:
    """``sound``, ``trim``, ``resample`` to ``rate`` Hz and ``loudness`` of ``lufs`` LUFS."""
    return (
        Step("sound", "broken recordings refused, overdriven ones marked", _sound),
        Step("trim", "silence cut off at both ends", partial(_changed, trim_silence)),
        Step("resample", f"brought to {rate:,} Hz", partial(_changed, partial(resample, rate=rate))),
        Step("loudness", f"brought to {lufs:g} LUFS", partial(_changed, partial(_loud, lufs))),
    )


def _sound(item: Item) -> Item:
    sound = _decoded(item)
    clipped = clipped_share(sound) if sound is not None else 0.0
    if clipped < _CLIPPED or "clipped" in item.attributes:
        return item
    return replace(item, attributes=dict(item.attributes) | {"clipped": f"{clipped:.3f}"})


def _changed(change: Callable[[Sound], Sound], item: Item) -> Item:
    sound = _decoded(item)
    if sound is None or item.content is None:
        return item
    new = change(sound)
    if new.rate == sound.rate and len(new.samples) == len(sound.samples) and (new.samples == sound.samples).all():
        return item
    data, media_type = encode_sound(new, item.content.media_type)
    return replace(item, content=ItemContent(media_type, data))


def _loud(lufs: float, sound: Sound) -> Sound:
    new = normalise_loudness(sound, lufs)
    return sound if np.allclose(new.samples, sound.samples, atol=_UNHEARD) else new


def _decoded(item: Item) -> Sound | None:
    if item.content is None or not item.content.media_type.startswith("audio/"):
        return None
    try:
        return decode_sound(item.content.data)
    except BadSoundError as error:
        raise RefusedError("content", str(error)) from error
