"""The data directory that load is put on: 1,000 texts and pictures, 400 users, and a small model of each kind."""

from __future__ import annotations

import base64
from pathlib import Path

import numpy as np

from aigc.entities import Event, Item, ItemContent
from aigc.generate.audio_vae import AudioVaeGenerator, AudioVaeOptions, AudioVaeTask
from aigc.generate.base import ImageData, SoundData
from aigc.generate.bert import BertGenerator
from aigc.generate.gan_generator import GanGenerator
from aigc.generate.gan_options import GanOptions
from aigc.generate.gan_task import GanTask
from aigc.generate.gpt import GptGenerator
from aigc.generate.mel_options import MelOptions
from aigc.generate.repository import ModelRepository
from aigc.generate.tokenizer import TextTokenizer
from aigc.generate.transformer import TransformerOptions
from aigc.generate.vae_generator import VaeGenerator
from aigc.generate.vae_options import VaeOptions
from aigc.generate.vae_task import VaeTask
from aigc.prepare.picture import encode_png
from aigc_server.app import open_platform
from aigc_server.settings import Settings

__all__ = ["make_world"]

TOPICS = ("space", "cooking", "garden", "music", "history", "sport", "travel", "film")
START_MS = 1_760_000_000_000
USERS, TEXTS, EVENTS = 400, 900, 20
STRATEGY = """
max_generated_share = 0.5
[[sources]]
kind = "item_item"
model = "ease"
[[sources]]
kind = "item_item"
model = "content"
[[sources]]
kind = "vector"
[[sources]]
kind = "popular"
fallback = true
[generate]
enabled = true
least_quality = 0.0
duplicate_distance = 0.0
per_user_day = 1000
"""


def make_world(home: Path) -> dict[str, str]:
    """Fill an empty data directory; gives what the configurations name as ``$png`` and the like."""
    rng = np.random.default_rng(1)
    home.mkdir(parents=True, exist_ok=True)
    pictures = strokes(rng)
    add_models(ModelRepository(home / "models"), pictures, rng)
    (home / "strategies").mkdir()
    (home / "strategies" / "made.toml").write_text(STRATEGY)
    (home / "strategies" / "reviewed.toml").write_text(STRATEGY + 'review = "before"\n')
    platform = open_platform(Settings(), home)
    platform.catalog.upsert([*texts(), *shown(pictures)])
    names = [i.id for i in texts()]
    for user in range(USERS):
        topic = int(rng.integers(len(TOPICS)))
        liked = rng.choice(np.arange(topic, len(names), len(TOPICS)), EVENTS, replace=False).tolist()
        events = [
            Event(f"e-{user}-{n}", f"user-{user}", names[item], "like", START_MS + n * 60_000)
            for n, item in enumerate(liked)
        ]
        events.append(Event(f"e-{user}-p", f"user-{user}", f"picture-{user % 40}", "like", START_MS))
        platform.behaviour.record(events)
    for _ in platform.build():
        pass
    # Deleted by the calls that delete.
    spare = [f"gone-{i}" for i in range(100)] + [f"lost-{i}-{j}" for i in range(50) for j in range(2)]
    platform.catalog.upsert([Item(name, kind="text", title=name) for name in spare])
    platform.close()
    return {"png": base64.b64encode(encode_png(pictures.pixels[0])).decode(), "job_model": "trained"}


def texts() -> list[Item]:
    """Each of one of eight topics."""
    return [
        Item(
            f"text-{i}",
            kind="text",
            title=f"{TOPICS[i % 8]} story {i}",
            text=f"{TOPICS[i % 8]} {TOPICS[i % 8]}craft {TOPICS[i % 8]}land number {i}",
            categories=(TOPICS[i % 8],),
            author=f"author-{i % 30}",
            created_ms=START_MS + i * 3_600_000,
        )
        for i in range(TEXTS)
    ]


def shown(pictures: ImageData) -> list[Item]:
    """Pictures as items."""
    return [
        Item(
            f"picture-{i}",
            kind="image",
            title=f"{pictures.classes[label]} {i}",
            categories=(pictures.classes[label],),
            content=ItemContent("image/png", encode_png(pixels)),
        )
        for i, (pixels, label) in enumerate(zip(pictures.pixels, pictures.labels.tolist(), strict=True))
    ]


def strokes(rng: np.random.Generator) -> ImageData:
    """Upright and level strokes of 8 × 8 pixels."""
    labels = rng.integers(2, size=40)
    pixels = np.zeros((40, 8, 8, 1), np.uint8)
    for i, label in enumerate(labels):
        at = int(rng.integers(1, 7))
        pixels[i, :, at] = 250 * label
        pixels[i, at] = np.maximum(pixels[i, at], 250 * (1 - label))
    return ImageData(pixels, labels.astype(np.int64), ("level", "upright"))


def add_models(repository: ModelRepository, pictures: ImageData, rng: np.random.Generator) -> None:
    """One of each kind, untrained: what a call costs does not depend on what was learned."""
    gan = GanTask(pictures, pictures, GanOptions(channels=(16, 16), latent_size=8, batch_size=8, patch=1))
    repository.add("strokes", GanGenerator.from_task(gan, gan.modules))
    for _ in range(6):
        repository.add("spare", GanGenerator.from_task(gan, gan.modules))
    for name in ("rival", "rival", "forced", "forced"):
        # Versions are compared by what was measured of them.
        repository.add(name, GanGenerator.from_task(gan, gan.modules), measures={"frechet": 1.0, "precision": 0.5})
    for i in range(20):
        repository.set_alias("spare@1", f"alias-{i}")
    small = VaeOptions(channels=(8, 16), blocks=(1, 1), hidden=32, latent_size=8, components=12, batch_size=32)
    vae = VaeTask(pictures, pictures, small)
    repository.add("codes", VaeGenerator.from_task(vae, vae.modules))
    words = ["The quick brown fox jumps over the lazy dog.", "春眠不觉晓,处处闻啼鸟。"] * 20
    tokenizer = TextTokenizer.train(words, 400)
    shape = TransformerOptions(vocabulary_size=len(tokenizer), context=128, layers=2, width=64, heads=4)
    repository.add("writer", GptGenerator.fresh(shape, tokenizer))
    repository.add("encoder", BertGenerator.fresh(shape, tokenizer))
    mel = MelOptions(rate=4000, window=128, hop=64, bands=16, frames=16, iterations=20)
    network = VaeOptions(
        likelihood="gaussian", prior="normal", conditional=True, latent_size=4, channels=(8, 16), hidden=32
    )
    samples = [rng.normal(0, 0.2, 800).astype(np.float32) for _ in range(8)]
    sounds = SoundData(samples, 4000, np.arange(8) % 2, ("low", "high"))
    audio = AudioVaeTask(sounds, sounds, AudioVaeOptions(mel, network))
    repository.add("tones", AudioVaeGenerator.from_task(audio, audio.modules))
