"""The measures that versions are compared by tell a better generator from a worse one, with nothing from outside."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from aigc.creation.offline_gate import judge_offline
from aigc.errors import InvalidInputError
from aigc.evaluate.generation.gradients import GradientEye
from aigc.evaluate.generation.held_out import held_out_measures
from aigc.generate.base import GeneratedImage, ImageData, ImageRequest
from tests.generate.test_gan import strokes

TRAIN, KEPT = strokes(400, 0), strokes(300, 1)


@dataclass
class Painter:
    """Draws strokes, with some of its pixels wrong."""

    wrong: float = 0.0
    drawn: ImageData | None = None
    classes: tuple[str, ...] = ("level", "upright")
    latent_size: int = 1
    image_shape: tuple[int, int, int] = (8, 8, 1)

    def generate(self, request: ImageRequest) -> list[GeneratedImage]:
        assert all(name in ("level", "upright") for name in request.classes)
        drawn = self.drawn or strokes(len(request.seeds), request.seeds[0] + 9)
        rng = np.random.default_rng(request.seeds[0])
        made = []
        for seed, pixels in zip(request.seeds, drawn.pixels, strict=False):
            noise = rng.integers(256, size=pixels.shape, dtype=np.uint8)
            shown = np.where(rng.random(pixels.shape) < self.wrong, noise, pixels)
            made.append(GeneratedImage(shown, seed, "", np.zeros(1, np.float32)))
        return made


def test_worse_pictures_measure_worse_and_equal_ones_pass_the_gate() -> None:
    good, again, poor, noise = (
        dict(held_out_measures(Painter(wrong), TRAIN, KEPT, seed=seed))
        for wrong, seed in ((0.0, 0), (0.0, 1), (0.02, 0), (1.0, 0))
    )
    assert good["frechet"] < poor["frechet"] < noise["frechet"]
    assert good["coverage"] > poor["coverage"] >= noise["coverage"]
    assert noise["precision"] == 0
    assert not judge_offline("gan", good, poor).passes
    assert not judge_offline("gan", good, noise).passes
    assert judge_offline("gan", good, good).passes
    assert judge_offline("gan", poor, again).passes


def test_the_same_generator_passes_whichever_pictures_happened_to_be_drawn() -> None:
    found = [held_out_measures(Painter(0.02), TRAIN, KEPT, n=150, seed=2000 * i) for i in range(6)]
    passed = [judge_offline("gan", one, other).passes for one in found for other in found]
    assert sum(passed) >= 33


def grainy(data: ImageData, seed: int) -> ImageData:
    grain = np.random.default_rng(seed).integers(0, 30, data.pixels.shape)
    return ImageData(np.clip(data.pixels + grain, 0, 255).astype(np.uint8), data.labels, data.classes)


def test_copies_of_the_training_pictures_are_told() -> None:
    known, kept = grainy(TRAIN, 0), grainy(KEPT, 1)
    assert held_out_measures(Painter(drawn=known), known, kept)["copies"] == 1.0
    assert held_out_measures(Painter(drawn=grainy(KEPT, 2)), known, kept)["copies"] < 0.1


def test_the_same_generator_measures_the_same_and_too_few_pictures_tell_nothing() -> None:
    assert held_out_measures(Painter(), TRAIN, KEPT) == held_out_measures(Painter(), TRAIN, KEPT)
    assert held_out_measures(Painter(), TRAIN, strokes(99, 1)) == {}


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_the_eye_sees_pictures_of_any_form_and_knows_no_classes(channels: int) -> None:
    eye = GradientEye()
    assert eye.features(strokes(3, 0, channels).pixels).shape == (3, 64)
    assert eye.sha256 == GradientEye().sha256
    with pytest.raises(InvalidInputError, match="knows no classes"):
        eye.probabilities(KEPT.pixels)
