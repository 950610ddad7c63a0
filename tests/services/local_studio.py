"""A studio in this process, over the generators of a repository: what the loop knows, without a server."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from aigc.creation.studio import Made, PictureOrder, TextOrder
from aigc.errors import UnavailableError
from aigc.generate.base import ImageGenerator, ImageRequest
from aigc.generate.repository import ModelInfo, ModelRepository
from aigc.prepare.picture import encode_png


class LocalStudio:
    """``before`` is called before each order; ``down`` makes every order fail as a dead generator does."""

    def __init__(self, home: Path) -> None:
        self.repository = ModelRepository(home / "models")
        self.before: Callable[[], object] = lambda: None
        self.down = False
        self.orders = 0

    def models(self) -> Sequence[ModelInfo]:
        return self.repository.models()

    def pictures(self, order: PictureOrder) -> Sequence[Made]:
        self.orders += 1
        self.before()
        if self.down:
            raise UnavailableError("the generator process died", reason="GENERATOR_DOWN")
        generator = self.repository.open(self.repository.get(order.model))
        assert isinstance(generator, ImageGenerator)
        request = ImageRequest(order.seeds, order.classes, order.captions, order.truncation, order.latents)
        return [
            Made(i.seed, encode_png(i.pixels), i.label, tuple(i.latent.tolist()), i.quality)
            for i in generator.generate(request)
        ]

    def texts(self, order: TextOrder) -> Sequence[Made]:
        raise AssertionError("no text model here")

    def encode(self, model: str, pictures: Sequence[bytes]) -> NDArray[np.float32]:
        raise AssertionError("no vae here")
