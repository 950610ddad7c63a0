"""A data directory with strokes as its catalogue, and a GAN of them that was never trained."""

from __future__ import annotations

from pathlib import Path

from aigc.entities import Item, ItemContent
from aigc.generate.gan_generator import GanGenerator
from aigc.generate.gan_options import GanOptions
from aigc.generate.gan_task import GanTask
from aigc.generate.repository import ModelRepository
from aigc.prepare.picture import encode_png
from aigc_server.app import open_platform
from aigc_server.settings import Settings
from tests.generate.test_gan import strokes

THIN = """
max_generated_share = 0.5
[[sources]]
kind = "item_item"
model = "content"
[[sources]]
kind = "popular"
fallback = true
[generate]
enabled = true
background = true
least_relevance = 1.0
least_quality = 0.0
duplicate_distance = 0.0
candidates = 2
"""
"""A strategy by which every catalogue is too thin, and by which anything may be generated between requests."""


def make_stroke_home(home: Path) -> None:
    data = strokes(40, 0)
    task = GanTask(data, data, GanOptions(channels=(16, 16), latent_size=8, batch_size=8, patch=1))
    ModelRepository(home / "models").add("strokes", GanGenerator.from_task(task, task.modules))
    platform = open_platform(Settings(), home)
    platform.catalog.upsert(
        [
            Item(
                f"stroke-{i}",
                kind="image",
                title=f"{data.classes[label]} {i}",
                categories=(data.classes[label],),
                content=ItemContent("image/png", encode_png(pixels)),
            )
            for i, (pixels, label) in enumerate(zip(data.pixels, data.labels.tolist(), strict=True))
        ]
    )
    assert [step.snapshot_id for step in platform.build()][-1]
    platform.close()
