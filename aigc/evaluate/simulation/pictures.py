"""Worlds of real pictures, and the eyes that read generated ones: neither is known to any server."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping, Sequence
from functools import lru_cache
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from aigc.collect.idx import find_idx, read_idx
from aigc.collect.rejects import Rejects
from aigc.entities import Item, ItemContent
from aigc.errors import InvalidInputError, NotFoundError
from aigc.evaluate.generation.lenet import LeNet
from aigc.evaluate.simulation.world import World, pick

__all__ = ["DigitReader", "EmojiSet", "digits_world", "emoji_world", "pixels_of", "read_emoji"]

DIGITS = tuple(str(d) for d in range(10))
_POOL = 20_000
_CREATED_MS = 1_750_000_000_000


def digits_world(folder: Path, each: int, seed: int) -> World:
    """Handwritten digits with their class as category.

    The catalogue is drawn from the first 20,000 training pictures, so a generator trained on the training set knows
    what the shop knows; a seed draws another catalogue.

    Args:
        folder: With ``train-images-idx3-ubyte.gz`` and its labels.
        each: Pictures a digit.
        seed: Of the choice.

    Raises:
        NotFoundError: The folder has no such file.
    """
    paths = [p for p in find_idx(folder) if p.name.startswith("train")] if folder.is_dir() else []
    if not paths:
        raise NotFoundError(f"{folder} has no MNIST; get it with `aigc datasets get mnist`", reason="FILE_NOT_FOUND")
    pool = _digit_pool(paths[0])
    labels = np.array([int(item.categories[0]) for item in pool])
    rows = pick(labels, each, len(DIGITS), np.random.default_rng([seed, 5]))
    items = tuple(
        Item(
            f"digit-{place:05d}",
            kind="image",
            title=f"drawing {place}",
            categories=(str(labels[row]),),
            created_ms=_CREATED_MS + place,
            content=pool[row].content,
        )
        for place, row in enumerate(rows.tolist())
    )
    return World("digits", DIGITS, items, np.eye(len(DIGITS))[labels[rows]])


@lru_cache(maxsize=1)
def _digit_pool(path: Path) -> tuple[Item, ...]:
    # Read once for all seeds: it takes as long as a run.
    return tuple(islice(read_idx(path, Rejects(None), limit=_POOL), _POOL))


class DigitReader:
    """A LeNet trained apart; an :class:`aigc.evaluate.simulation.world.AspectReader`."""

    def __init__(self, network: LeNet) -> None:
        """Args: network: knows the ten digits."""
        if tuple(network.classes) != DIGITS:
            raise InvalidInputError(f"the network knows {network.classes}, not the ten digits", field="network")
        self._network = network

    def read(self, items: Sequence[Item]) -> NDArray[np.float64]:
        """See :class:`aigc.evaluate.simulation.world.AspectReader`."""
        height, width, _ = self._network.image_shape
        pixels = np.stack([pixels_of(item, "L", (width, height))[:, :, None] for item in items])
        chances = self._network.probabilities(pixels).astype(np.float64)
        found: NDArray[np.float64] = chances / chances.sum(axis=1, keepdims=True)
        return found


class EmojiSet:
    """All emoji with group, names, keywords and pictures."""

    def __init__(self, entries: Sequence[Mapping[str, object]], groups: Sequence[str], files: Sequence[bytes]) -> None:
        """Args: entries: of ``captions.jsonl``; groups: one an entry; files: PNG, one an entry."""
        self.entries, self.groups, self.files = tuple(entries), tuple(groups), tuple(files)
        self.aspects = tuple(sorted(set(groups)))
        self.labels = np.array([self.aspects.index(g) for g in groups])


def read_emoji(folder: Path, groups: Mapping[str, str], least: int = 40) -> EmojiSet:
    """Read ``captions.jsonl`` and ``png32.zip``.

    Args:
        folder: With both.
        groups: Character → group, such as Unicode's; what has none is left out.
        least: Groups of fewer emoji are left out.

    Raises:
        NotFoundError: A file is missing.
    """
    captions, pictures = folder / "captions.jsonl", folder / "png32.zip"
    for path in (captions, pictures):
        if not path.is_file():
            raise NotFoundError(f"{path} is missing; give the folder of the emoji", reason="FILE_NOT_FOUND")
    with captions.open(encoding="utf-8") as file:
        entries = [json.loads(line) for line in file]
    known = [(e, groups[c]) for e in entries if (c := str(e["char"]).replace("\ufe0f", "")) in groups]
    counts = {g: sum(group == g for _, group in known) for g in {group for _, group in known}}
    known = [(e, g) for e, g in known if counts[g] >= least]
    with zipfile.ZipFile(pictures) as archive:
        files = [archive.read(str(e["file"])) for e, _ in known]
    return EmojiSet([e for e, _ in known], [g for _, g in known], files)


def emoji_world(emoji: EmojiSet, each: int, seed: int) -> World:
    """Emoji with name and keywords, their group as category; ``each`` of every group, drawn by ``seed``."""
    rows = pick(emoji.labels, each, len(emoji.aspects), np.random.default_rng([seed, 5]))
    items = []
    for place, row in enumerate(rows.tolist()):
        entry = emoji.entries[row]
        items.append(
            Item(
                f"emoji-{place:05d}",
                kind="image",
                title=str(entry["en"]),
                tags=tuple(str(k) for k in _listed(entry["keywords_en"])),
                categories=(emoji.groups[row],),
                language="en",
                created_ms=_CREATED_MS + place,
                content=ItemContent("image/png", emoji.files[row]),
            )
        )
    return World("emoji", emoji.aspects, tuple(items), np.eye(len(emoji.aspects))[emoji.labels[rows]])


def pixels_of(item: Item, mode: str, size: tuple[int, int]) -> NDArray[np.uint8]:
    """(height, width[, channels]) uint8 of an item's picture in a mode of Pillow's, at (width, height)."""
    if item.content is None:
        raise InvalidInputError(f"item {item.id!r} has no picture to read", field="content")
    with Image.open(io.BytesIO(item.content.data)) as picture:
        picture.load()
        plain = picture.convert(mode)
    if plain.size != size:
        plain = plain.resize(size, Image.Resampling.BILINEAR)
    return np.asarray(plain, np.uint8)


def _listed(value: object) -> list[object]:
    return value if isinstance(value, list) else []
