from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from aigc.errors import CorruptDataError, InvalidInputError
from aigc.generate.base import ImageData, ImageGenerator, ImageRequest
from aigc.generate.diversity import diversity
from aigc.generate.gan import build_networks
from aigc.generate.gan_generator import GanGenerator
from aigc.generate.gan_losses import discriminator_loss, generator_loss, gradient_penalty, zero_centred_penalties
from aigc.generate.gan_options import RECIPES, GanOptions
from aigc.generate.gan_task import GanTask
from aigc.generate.task import StepContext

pytestmark = pytest.mark.usefixtures("one_thread")


def strokes(n: int, seed: int, channels: int = 1) -> ImageData:
    """Upright and level strokes of 8 × 8 pixels."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(2, size=n)
    pixels = np.zeros((n, 8, 8, channels), np.uint8)
    for i, label in enumerate(labels):
        at, colour = int(rng.integers(1, 7)), rng.integers(200, 256, channels)
        if label:
            pixels[i, :, at] = colour
        else:
            pixels[i, at] = colour
    return ImageData(pixels, labels.astype(np.int64), ("level", "upright"))


def small(recipe: str = "default", **changes: object) -> GanOptions:
    sizes = {"channels": (32, 16), "latent_size": 8, "batch_size": 16, "penalty_every": 2, "patch": 1}
    return replace(GanOptions.named(recipe), **{**sizes, **changes})


def train(task: GanTask, steps: int) -> list[dict[str, float]]:
    optimizers = task.optimizers()
    seen = []
    for step in range(steps):
        losses = {}
        for phase in task.phases(StepContext(step)):
            optimizers[phase.optimizer].zero_grad()
            phase.loss.backward()
            optimizers[phase.optimizer].step()
            losses |= {phase.optimizer: phase.loss.item()} | {k: v.item() for k, v in phase.metrics.items()}
        seen.append(losses)
    return seen


@pytest.fixture(scope="module")
def trained() -> GanGenerator:
    task = GanTask(strokes(256, 0), strokes(64, 1), small(penalty=0.1, learning_rate=2e-3))
    train(task, 60)
    return GanGenerator.from_task(task, task.modules)


@pytest.mark.parametrize("recipe", RECIPES)
def test_every_recipe_trains_and_moves_both_networks(recipe: str) -> None:
    task = GanTask(strokes(64, 0), strokes(32, 1), small(recipe))
    before = {n: [p.detach().clone() for p in m.parameters()] for n, m in task.modules.items()}
    seen = train(task, 3)
    assert all(np.isfinite(list(losses.values())).all() for losses in seen)
    for name, module in task.modules.items():
        changed = [not torch.equal(a, b) for a, b in zip(before[name], module.parameters(), strict=True)]
        assert sum(changed) > len(changed) / 2, name


def test_the_generator_learns_the_classes(trained: GanGenerator) -> None:
    made = trained.generate(ImageRequest(list(range(40)), ["level", "upright"] * 20))
    level = np.stack([m.pixels[..., 0] for m in made[::2]]).astype(float)
    upright = np.stack([m.pixels[..., 0] for m in made[1::2]]).astype(float)
    # A level stroke varies from row to row, an upright one from column to column.
    across, along = level.mean(axis=2).std(axis=1).mean(), level.mean(axis=1).std(axis=1).mean()
    assert across > 1.5 * along
    across, along = upright.mean(axis=2).std(axis=1).mean(), upright.mean(axis=1).std(axis=1).mean()
    assert along > 1.5 * across


def test_the_same_step_draws_the_same_whatever_came_before() -> None:
    first, second = (GanTask(strokes(64, 0), strokes(32, 1), small()) for _ in range(2))
    assert train(first, 3) == train(second, 3)


@pytest.mark.parametrize(
    ("recipe", "sizes"), [("article", [(100, 128), (128, 256), (256, 512), (512, 1024), (1024, 784)])]
)
def test_the_article_has_the_sizes_it_prints(recipe: str, sizes: list[tuple[int, int]]) -> None:
    generator, discriminator = build_networks(GanOptions.named(recipe), (28, 28, 1), 0)
    assert [(m.in_features, m.out_features) for m in generator.layers] == sizes
    assert [m.out_features for m in discriminator.layers] == [512, 256, 128, 1]


def test_minimax_at_the_optimum_is_two_log_two_and_not_the_article_s_thousandth() -> None:
    undecided = torch.zeros(8)
    assert discriminator_loss("minimax", undecided, undecided).item() == pytest.approx(2 * np.log(2))
    sure, fooled_by = torch.full((8,), 9.0), torch.full((8,), -9.0)
    assert discriminator_loss("minimax", sure, fooled_by).item() < 1e-3
    # Where the discriminator's loss is a thousandth, the generator's printed one is far from it.
    assert generator_loss("non-saturating", sure, fooled_by).item() > 8


def test_minimax_saturates_where_non_saturating_does_not() -> None:
    slopes = {}
    for loss in ("minimax", "non-saturating"):
        fake = torch.full((1,), -8.0, requires_grad=True)
        generator_loss(loss, fake.detach(), fake).backward()
        slopes[loss] = abs(float(fake.grad))
    assert slopes["minimax"] < 1e-3 < 0.99 < slopes["non-saturating"]


def test_penalties_are_the_squared_slope() -> None:
    weights = torch.tensor([3.0, 4.0]).view(1, 2, 1, 1)
    x = torch.randn(5, 2, 1, 1, requires_grad=True)
    assert zero_centred_penalties((x * weights).sum((1, 2, 3)), x).tolist() == pytest.approx([25.0] * 5)
    unit = gradient_penalty(lambda p: (p * weights / 5).sum((1, 2, 3)), x.detach(), -x.detach(), torch.rand(5, 1, 1, 1))
    assert unit.item() == pytest.approx(0, abs=1e-9)


def test_a_row_is_the_same_alone_and_in_a_batch(trained: GanGenerator) -> None:
    seeds = list(range(37))
    together = trained.generate(ImageRequest(seeds))
    for i in (0, 15, 16, 36):
        alone = trained.generate(ImageRequest([seeds[i]]))[0]
        assert alone.pixels.tobytes() == together[i].pixels.tobytes()
        assert (alone.label, alone.quality) == (together[i].label, together[i].quality)
    shuffled = trained.generate(ImageRequest(seeds[::-1]))
    assert shuffled[0].pixels.tobytes() == together[-1].pixels.tobytes()


def test_what_is_saved_comes_back_and_makes_the_same(trained: GanGenerator, tmp_path: Path) -> None:
    trained.save(tmp_path)
    again = GanGenerator.load(tmp_path)
    assert isinstance(again, ImageGenerator)
    assert again.described == trained.described
    for a, b in zip(trained.generate(ImageRequest([1, 2])), again.generate(ImageRequest([1, 2])), strict=True):
        assert a.pixels.tobytes() == b.pixels.tobytes()
        assert a.quality == b.quality


def test_broken_missing_and_newer_models_are_refused_by_name(trained: GanGenerator, tmp_path: Path) -> None:
    with pytest.raises(CorruptDataError, match=r"config\.json"):
        GanGenerator.load(tmp_path)
    trained.save(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    for changed in (
        config | {"format": 2},
        config | {"kind": "vae"},
        config | {"options": {}},
        config | {"options": config["options"] | {"loss": "hinge"}},
        [],
    ):
        (tmp_path / "config.json").write_text(json.dumps(changed))
        with pytest.raises(CorruptDataError, match=r"config\.json"):
            GanGenerator.load(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps(config | {"classes": ["one", "two", "three"]}))
    with pytest.raises(CorruptDataError, match=r"model\.safetensors"):
        GanGenerator.load(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps(config))
    (tmp_path / "model.safetensors").write_bytes(b"\x80\x04\x95pickle")
    with pytest.raises(CorruptDataError, match=r"model\.safetensors"):
        GanGenerator.load(tmp_path)


def test_latents_and_truncation_are_what_was_asked_for(trained: GanGenerator) -> None:
    full, half = (trained.generate(ImageRequest([5], ["level"], truncation=psi))[0] for psi in (1.0, 0.5))
    np.testing.assert_allclose(half.latent, full.latent / 2)
    again = trained.generate(ImageRequest([9], ["level"], latents=half.latent[None]))[0]
    assert again.pixels.tobytes() == half.pixels.tobytes()
    tight = np.stack(
        [m.pixels for m in trained.generate(ImageRequest(list(range(30)), ["level"] * 30, truncation=0.1))]
    )
    wide = np.stack([m.pixels for m in trained.generate(ImageRequest(list(range(30)), ["level"] * 30))])
    assert tight.std(axis=0).mean() < wide.std(axis=0).mean()


@pytest.mark.parametrize(
    ("field", "request_"),
    [
        ("classes[1]", ImageRequest([1, 2], ["level", "slanted"])),
        ("classes", ImageRequest([1, 2], ["level"])),
        ("truncation", ImageRequest([1], truncation=0.0)),
        ("truncation", ImageRequest([1], truncation=float("nan"))),
        ("latents", ImageRequest([1], latents=np.zeros((1, 9), np.float32))),
        ("latents", ImageRequest([1], latents=np.full((1, 8), np.nan, np.float32))),
        ("seeds[0]", ImageRequest([-1])),
    ],
)
def test_a_request_that_cannot_be_met_names_its_field(
    trained: GanGenerator, field: str, request_: ImageRequest
) -> None:
    with pytest.raises(InvalidInputError) as caught:
        trained.generate(request_)
    assert caught.value.field == field


def test_quality_ranks_noise_below_real_pictures(trained: GanGenerator) -> None:
    made = [m.quality for m in trained.generate(ImageRequest(list(range(30))))]
    assert all(0 <= q <= 1 for q in made)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("loss", "hinge"),
        ("architecture", "vit"),
        ("penalty", -1.0),
        ("penalty", float("nan")),
        ("penalty_every", 0),
        ("latent_size", 0),
        ("channels", ()),
        ("channels", (24,)),
        ("beta1", 1.0),
        ("batch_size", 1),
        ("pack", 3),
    ],
)
def test_options_without_a_meaning_are_refused_by_name(field: str, value: object) -> None:
    with pytest.raises(InvalidInputError) as caught:
        small(**{field: value})
    assert caught.value.field == field


def test_unknown_recipes_and_odd_pictures_are_refused() -> None:
    with pytest.raises(InvalidInputError, match="recipe"):
        GanOptions.named("stylegan")
    with pytest.raises(InvalidInputError, match="multiples of 4"):
        GanTask(
            ImageData(np.zeros((4, 9, 9, 1), np.uint8)), ImageData(np.zeros((4, 9, 9, 1), np.uint8)), small(patch=2)
        )
    with pytest.raises(InvalidInputError, match="held out"):
        GanTask(strokes(4, 0), ImageData(np.zeros((0, 8, 8, 1), np.uint8)), small())


def test_diversity_falls_when_pictures_repeat_or_kinds_are_missing() -> None:
    real, other = strokes(200, 0).pixels, strokes(200, 1).pixels
    assert diversity(real, other) > 0.85
    assert diversity(real, np.repeat(other[:1], 200, axis=0)) == 0
    assert diversity(real, other[np.arange(200) % 5]) < 0.1


def test_the_sheet_is_the_same_at_every_look_and_validation_is_bounded(tmp_path: Path) -> None:
    task = GanTask(strokes(64, 0, 3), strokes(32, 1, 3), small())
    paths = [task.draw_samples(task.modules, tmp_path / name) for name in ("a", "b")]
    with Image.open(paths[0]) as first, Image.open(paths[1]) as second:
        assert first.tobytes() == second.tobytes()
        assert first.mode == "RGB"
    assert 0 <= task.validate(task.modules)["diversity"] <= 1
