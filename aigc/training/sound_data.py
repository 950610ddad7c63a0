"""Recordings of one rate to learn from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from aigc.entities import Item
from aigc.generate.base import SoundData
from aigc.prepare.sound import BadSoundError, Sound, decode_sound, resample
from aigc.training.data_options import SoundDataOptions
from aigc.training.data_parts import class_labels, divide, refuse_few
from aigc.training.data_source import DataChoice

__all__ = ["sounds_of_items"]

_REMEDY = "import some with `aigc import audio PATH`, ask for other kinds or categories, or give another path"


def sounds_of_items(
    items: Iterable[Item], choice: DataChoice, options: SoundDataOptions
) -> tuple[SoundData, SoundData, list[str]]:
    """Decode, bring to one rate, divide.

    Raises:
        InvalidInputError: There are too few recordings.
    """
    sounds: list[Sound] = []
    kept: list[Item] = []
    broken = 0
    for item in items:
        if item.content is None:
            continue
        try:
            sounds.append(decode_sound(item.content.data))
            kept.append(item)
        except BadSoundError:
            broken += 1
    notes = [f"{broken:,} left out: recordings that do not decode"] if broken else []
    refuse_few(len(sounds), "recordings", choice.in_words, choice.remedy(_REMEDY))
    rate = options.rate or Counter(s.rate for s in sounds).most_common(1)[0][0]
    other = sum(s.rate != rate for s in sounds)
    if other:
        notes.append(f"{other:,} recordings were brought to {rate:,} Hz")
    samples = [resample(s, rate).samples for s in sounds]
    labels, classes = np.empty(0, np.int64), tuple[str, ...]()
    if options.labels:
        labels, classes, more = class_labels(kept, choice.categories)
        notes += more
    train, held_out = divide(len(samples), options.held_out, options.limit, options.seed, least=2)

    def taken(rows: NDArray[np.int64]) -> SoundData:
        return SoundData(tuple(samples[i] for i in rows), rate, labels[rows] if len(labels) else labels, classes)

    return taken(train), taken(held_out), notes
