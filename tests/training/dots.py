"""A catalogue of small pictures in three classes, and options that train on them in a second."""

from __future__ import annotations

import io
import wave
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PIL import Image

from aigc.entities import Item, ItemContent
from aigc.store.sql import SqlStore, open_store

TINY: Mapping[str, str] = {
    "gan.channels": "16",
    "gan.batch_size": "4",
    "gan.latent_size": "4",
    "data.seed": "1",
    "trainer.steps": "12",
    "trainer.log_every": "2",
    "trainer.checkpoint_every": "4",
}


def png(pixels: np.ndarray) -> bytes:
    target = io.BytesIO()
    Image.fromarray(pixels).save(target, "PNG")
    return target.getvalue()


def dot_pictures(count: int = 40, size: int = 8) -> list[Item]:
    """Grey pictures, the brighter the higher the class."""
    rng = np.random.default_rng(0)
    return [
        Item(
            f"dot-{i:03d}",
            kind="image",
            title=f"dot {i} · 点{i}",
            tags=("round",),
            categories=(str(i % 3),),
            content=ItemContent("image/png", png((rng.random((size, size)) * 80 + (i % 3) * 80).astype(np.uint8))),
        )
        for i in range(count)
    ]


def tone(hz: float = 440.0, seconds: float = 0.1, rate: int = 8000) -> bytes:
    """A wav file."""
    target = io.BytesIO()
    with wave.open(target, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        time = np.arange(int(seconds * rate)) / rate
        file.writeframes((np.sin(2 * np.pi * hz * time) * 20_000).astype("<i2").tobytes())
    return target.getvalue()


def store_url(home: Path) -> str:
    return f"sqlite:///{home / 'aigc.sqlite'}"


def dot_store(home: Path, count: int = 40) -> SqlStore:
    """A store for writing with the pictures in it."""
    home.mkdir(parents=True, exist_ok=True)
    store = open_store(store_url(home))
    store.upsert_items(dot_pictures(count))
    return store
