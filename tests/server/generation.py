"""A data directory with small models, and a server over it whose generator runs as a process of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc

from aigc.generate.base import ImageData
from aigc.generate.gan_generator import GanGenerator
from aigc.generate.gan_options import GanOptions
from aigc.generate.gan_task import GanTask
from aigc.generate.gpt import GptGenerator
from aigc.generate.repository import ModelRepository
from aigc.generate.tokenizer import TextTokenizer
from aigc.generate.transformer import TransformerOptions
from aigc.services.generation_limits import GenerationLimits
from aigc.v1 import generation_service_pb2_grpc, model_service_pb2_grpc
from aigc_server.app import App, open_platform
from aigc_server.settings import ServerSettings, Settings
from tests.generate.test_gan import strokes


def add_small_models(home: Path) -> None:
    """``strokes``: an untrained GAN of 8 × 8 pixels; ``writer``: an untrained GPT of one layer."""
    data: ImageData = strokes(40, 0)
    options = GanOptions(channels=(16, 16), latent_size=8, batch_size=8, patch=1)
    task = GanTask(data, data, options)
    repository = ModelRepository(home / "models")
    repository.add("strokes", GanGenerator.from_task(task, task.modules))
    words = ["春眠不觉晓,处处闻啼鸟。", "The quick brown fox jumps over the lazy dog."] * 20
    tokenizer = TextTokenizer.train(words, 400)
    shape = TransformerOptions(vocabulary_size=len(tokenizer), context=128, layers=1, width=32, heads=2)
    repository.add("writer", GptGenerator.fresh(shape, tokenizer))


class GenerationClient:
    """Stubs of the generator's services on one channel."""

    def __init__(self, channel: grpc.aio.Channel, app: App) -> None:
        self.channel = channel
        self.app = app
        self.generation: Any = generation_service_pb2_grpc.GenerationServiceStub(channel)
        self.models: Any = model_service_pb2_grpc.ModelServiceStub(channel)


@asynccontextmanager
async def generation_server(home: Path, base: Settings | None = None, **limits: Any) -> AsyncIterator[GenerationClient]:
    settings = replace(
        base or Settings(),
        server=ServerSettings(listen="127.0.0.1:0", drain_ms=2000),
        generation=GenerationLimits(**({"niceness": 0, "restart_ms": 0} | limits)),
    )
    app = App(open_platform(settings, home), settings)
    await app.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{app.port}") as channel:
        yield GenerationClient(channel, app)
    await app.stop()
