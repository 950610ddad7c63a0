"""The data of a training: read from where it is, brought to one form, divided, and known by its hash."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np

from aigc.collect.idx import find_idx
from aigc.collect.rejects import Rejects
from aigc.entities import Item
from aigc.generate.base import ImageData, SoundData, TextData
from aigc.profiles.weights import EventWeights
from aigc.store.base import Store
from aigc.training.data_options import ImageDataOptions, SoundDataOptions, TextDataOptions
from aigc.training.data_source import IMAGES, RECORDINGS, DataChoice, catalogue_items, path_items
from aigc.training.image_data import images_of_arrays, images_of_items
from aigc.training.liked import LikedItem
from aigc.training.sound_data import sounds_of_items
from aigc.training.text_data import texts_of_items

__all__ = ["Data", "DataOptions", "TrainingData", "data_hash", "load_data"]

Data = ImageData | SoundData | TextData
DataOptions = ImageDataOptions | SoundDataOptions | TextDataOptions


@dataclass(frozen=True, slots=True)
class TrainingData:
    """What a model learns from.

    Attributes:
        train: To learn from.
        held_out: Of the same kind, for validation; a TextData holds its own, then this is the same one.
        count: Pictures, recordings or texts in all.
        sha256: Of all of it: equal data have equal hashes.
        notes: What was left out or changed on the way, in words.
        liked: Of a set of liked items, each by its id.
    """

    train: Data
    held_out: Data
    count: int
    sha256: str
    notes: tuple[str, ...] = ()
    liked: Mapping[str, LikedItem] = field(default_factory=dict)


def load_data(
    modality: str,
    choice: DataChoice,
    options: DataOptions,
    open_store: Callable[[], Store],
    *,
    captions: bool = False,
    classes: Sequence[str] = (),
    weights: EventWeights | None = None,
) -> TrainingData:
    """Read and prepare.

    Args:
        modality: ``images``, ``texts`` or ``recordings``.
        choice: Which data.
        options: How it is prepared; of the modality's class.
        open_store: Opens the catalogue, for reading, when it is wanted.
        captions: Pictures without a title are left out.
        classes: Those of a model that goes on: pictures of others are left out; empty for those of the data.
        weights: Of event types, to tell what was liked.

    Raises:
        InvalidInputError: There is no such data, too little of it, or it has no common form; says what to do.
        NotFoundError: The path does not exist, or nothing of the modality is there.
        ConflictError: There is no catalogue yet.
    """
    rejects = Rejects(None)
    liked: dict[str, LikedItem] = {}
    train: Data
    held_out: Data
    arrays = find_idx(Path(choice.path)) if choice.path and Path(choice.path).exists() else []
    if isinstance(options, ImageDataOptions) and arrays:
        train, held_out, notes = images_of_arrays(arrays, choice, options)
    else:
        with _items(modality, choice, options, open_store, rejects, weights, liked) as items:
            train, held_out, notes = _prepare(modality, choice, options, items, captions, classes)
    notes += [f"{n:,} left out: {reason}" for reason, n in rejects.by_reason.most_common(5)]
    return TrainingData(train, held_out, _count(train, held_out), data_hash(train, held_out), tuple(notes), liked)


def _prepare(
    modality: str,
    choice: DataChoice,
    options: DataOptions,
    items: Iterator[Item],
    captions: bool,
    classes: Sequence[str],
) -> tuple[Data, Data, list[str]]:
    if modality == IMAGES and isinstance(options, ImageDataOptions):
        return images_of_items(items, choice, options, captions=captions, classes=classes)
    if modality == RECORDINGS and isinstance(options, SoundDataOptions):
        return sounds_of_items(items, choice, options)
    assert isinstance(options, TextDataOptions)
    texts, notes = texts_of_items(items, choice, options)
    return texts, texts, notes


@contextmanager
def _items(
    modality: str,
    choice: DataChoice,
    options: DataOptions,
    open_store: Callable[[], Store],
    rejects: Rejects,
    weights: EventWeights | None,
    liked: dict[str, LikedItem],
) -> Iterator[Iterator[Item]]:
    """The items for the length of a block; a store that was opened for them is closed."""
    if choice.path:
        pattern = options.name_pattern if isinstance(options, SoundDataOptions) else ""
        yield path_items(choice, modality, rejects, name_pattern=pattern)
        return
    store = open_store()
    try:
        yield catalogue_items(store, choice, modality, weights, liked)
    finally:
        store.close()


def data_hash(*parts: Data) -> str:
    """SHA-256 over every value, shape and name."""
    digest = hashlib.sha256()
    for part in parts:
        for spec in fields(part):
            _feed(digest, getattr(part, spec.name))
    return digest.hexdigest()


def _feed(digest: Any, value: object) -> None:
    if isinstance(value, np.ndarray):
        digest.update(f"{value.dtype}{value.shape}".encode())
        digest.update(np.ascontiguousarray(value).data)
    elif isinstance(value, list | tuple) and value and isinstance(value[0], np.ndarray):
        for entry in value:
            _feed(digest, entry)
    else:
        # An iterable of texts: its JSON tells apart what a mere concatenation would not.
        digest.update(json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogatepass"))


def _count(train: Data, held_out: Data) -> int:
    if isinstance(train, TextData):
        # The end of a single text is no text of its own.
        texts = len(train.documents) + (len(train.held_out) if len(train.documents) > 1 else 0)
        return max(texts, len(train.pairs) + len(train.held_out_pairs))
    parts = (train, held_out)
    return sum(
        len(d.pixels) if isinstance(d, ImageData) else len(d.samples) for d in parts if not isinstance(d, TextData)
    )
