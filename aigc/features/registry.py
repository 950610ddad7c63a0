"""Which encoder a catalogue gets, and how a saved one is found again."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import cast

from aigc.entities import Item, ItemContent
from aigc.errors import CorruptDataError
from aigc.features.base import Encoder
from aigc.features.blend import BlendedEncoder
from aigc.features.collaborative import CollaborativeEncoder
from aigc.features.image import ImageEncoder
from aigc.features.saved import read_arrays, read_json
from aigc.features.sound import SoundEncoder
from aigc.features.text import TextEncoder, item_words, tokens

__all__ = ["fit_encoder", "load_encoder"]

# Encoders that need torch stand with the models, above this package: named here, imported when a snapshot has one.
_OF_MODELS = {"text-model": "aigc.generate.text_encoder:ModelTextEncoder"}

Contents = Callable[[Sequence[str]], Iterator[tuple[str, ItemContent]]]


def fit_encoder(
    items: Sequence[Item],
    contents: Contents,
    *,
    text_size: int = 64,
    image_size: int = 64,
    sound_size: int = 64,
    weights: Mapping[str, float] | None = None,
    seed: int = 0,
    text_encoder: Encoder | None = None,
) -> BlendedEncoder:
    """Fit the modalities that the catalogue has: text, pictures, recordings, or several side by side.

    Args:
        items: The catalogue, without contents.
        contents: Gives the contents of those among the ids that have one, a few at a time.
        text_size: Length of the text block.
        image_size: Length of the picture block.
        sound_size: Length of the sound block.
        weights: Of ``text``, ``image`` and ``sound`` in the blend, 1 each by default.
        seed: Of the decompositions.
        text_encoder: Already fitted, in place of the one of words: a BERT, or another model that embeds texts.
    """
    ids = [item.id for item in items]

    def media(kind: str) -> Iterator[bytes]:
        return (content.data for _, content in contents(ids) if content.media_type.startswith(kind))

    weight = {"text": 1.0, "image": 1.0, "sound": 1.0} | dict(weights or {})
    parts: list[tuple[str, float, Encoder]] = []
    if next(media("image/"), None) is not None:
        parts.append(("image", weight["image"], ImageEncoder.fit(media("image/"), image_size, seed)))
    if next(media("audio/"), None) is not None:
        parts.append(("sound", weight["sound"], SoundEncoder.fit(media("audio/"), sound_size, seed)))
    # Titles that only number their items ("digit-0017") say nothing that a picture does not.
    if not parts or _has_shared_words(items):
        text = TextEncoder.fit(items, text_size, seed) if text_encoder is None else text_encoder
        parts.insert(0, ("text", weight["text"], text))
    return BlendedEncoder(parts)


def load_encoder(folder: Path) -> Encoder:
    """Open what an encoder saved.

    Raises:
        CorruptDataError: A file is missing or broken, or of an encoder that this version lacks.
    """
    settings = read_json(folder)
    name = settings.get("encoder")
    if name == TextEncoder.name:
        return TextEncoder.load(folder)
    if name == ImageEncoder.name:
        return ImageEncoder.load(folder)
    if name == SoundEncoder.name:
        return SoundEncoder.load(folder)
    if name == CollaborativeEncoder.name:
        head = read_arrays(folder, "head")[0]
        return CollaborativeEncoder(load_encoder(folder / "content"), head, float(settings["weight"]))
    if name == BlendedEncoder.name:
        return BlendedEncoder([(part, weight, load_encoder(folder / part)) for part, weight in settings["parts"]])
    if name in _OF_MODELS:
        module, of_model = _OF_MODELS[name].split(":")
        return cast(Encoder, getattr(importlib.import_module(module), of_model).load(folder))
    raise CorruptDataError(
        f"{folder / 'encoder.json'} is of encoder {name!r}, which this version does not have; upgrade aigc or build a "
        "new snapshot with `aigc train`",
        reason="SNAPSHOT_FORMAT",
    )


def _has_shared_words(items: Sequence[Item]) -> bool:
    """Do words connect items at all? A word does that stands in at least two, but not in half of them."""
    seen: dict[str, int] = {}
    for item in items:
        for token in set(tokens(item_words(item))):
            seen[token] = seen.get(token, 0) + 1
    useful = {t for t, n in seen.items() if 2 <= n <= max(2, len(items) // 2) and not t.isdigit()}
    return any(t in useful for item in items[:1000] for t in tokens(item_words(item)))
