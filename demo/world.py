"""The demonstration's world: real handwritten digits as a catalogue, and users with tastes in digits."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from sklearn.datasets import load_digits

__all__ = ["VISITOR_TASTE", "World", "make_world"]

VISITOR_TASTE = (3, 8)
"""The digits that the user ``visitor`` likes."""

_USERS = 400
_EVENTS = 40
_START_S = 1_760_000_000


@dataclass(frozen=True, slots=True)
class World:
    """What was written.

    Attributes:
        images: A folder of PNG files, one an item; the file's name is the item's id and says nothing of the digit.
        events: A CSV file of who liked what.
        labels: Item id → the digit, known to the demonstration only.
        n_events: Rows of the CSV file.
    """

    images: Path
    events: Path
    labels: dict[str, int]
    n_events: int


def make_world(folder: Path, seed: int = 7) -> World:
    """Write the pictures and the events.

    Every user has two favourite digits and picks among them nine times out of ten, else anything. The digit itself is
    in no file: what is learned comes from the pixels and from who liked what.
    """
    rng = np.random.default_rng(seed)
    digits = load_digits()
    images = folder / "images"
    images.mkdir(parents=True)
    order = rng.permutation(len(digits.images))
    ids = [f"drawing-{i:04d}.png" for i in range(len(order))]
    for item_id, row in zip(ids, order, strict=True):
        pixels = (digits.images[row] * (255 / 16)).astype(np.uint8)
        Image.fromarray(pixels).resize((32, 32), Image.Resampling.BICUBIC).save(images / item_id)
    labels = digits.target[order]
    rows = [*_tastes(rng, labels), ("visitor", VISITOR_TASTE)]
    events = folder / "events.csv"
    count = 0
    with events.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["user_id", "item_id", "type", "timestamp"])
        for user, taste in rows:
            wanted = _EVENTS if user != "visitor" else 12
            for step, item in enumerate(_pick(rng, labels, taste, wanted)):
                writer.writerow([user, ids[item], "like", _START_S + step * 3600 + int(rng.integers(3600))])
                count += 1
    return World(images, events, dict(zip(ids, labels.tolist(), strict=True)), count)


def _tastes(rng: np.random.Generator, labels: NDArray[np.int64]) -> list[tuple[str, tuple[int, int]]]:
    digits = np.unique(labels)
    pairs = [rng.choice(digits, 2, replace=False) for _ in range(_USERS)]
    return [(f"user-{u:03d}", (int(a), int(b))) for u, (a, b) in enumerate(pairs)]


def _pick(rng: np.random.Generator, labels: NDArray[np.int64], taste: tuple[int, int], count: int) -> NDArray[np.int64]:
    liked = np.flatnonzero(np.isin(labels, taste))
    chosen = rng.choice(liked, count, replace=False)
    stray = rng.random(count) < 0.1
    chosen[stray] = rng.integers(len(labels), size=int(stray.sum()))
    return chosen
