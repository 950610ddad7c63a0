from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from aigc.errors import CorruptDataError, InvalidInputError
from aigc.evaluate.generation.likelihood import measure_likelihood
from aigc.generate.base import ImageData, ImageGenerator, ImageRequest, LatentModel
from aigc.generate.loading import load_generator
from aigc.generate.pixel_likelihood import build_likelihood
from aigc.generate.prior import LatentPrior, MixtureDensity
from aigc.generate.second_stage import build_prior
from aigc.generate.task import StepContext
from aigc.generate.vae import Terms, build_vae
from aigc.generate.vae_generator import VaeGenerator
from aigc.generate.vae_options import VaeOptions
from aigc.generate.vae_task import VaeTask, binarised, importance_weighted_loss, normal_divergence, visible

pytestmark = pytest.mark.usefixtures("one_thread")


def strokes(n: int, seed: int, channels: int = 1) -> ImageData:
    """Upright and level strokes of 8 × 8 pixels."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(2, size=n)
    pixels = np.zeros((n, 8, 8, channels), np.uint8)
    for i, label in enumerate(labels):
        at, colour = int(rng.integers(1, 7)), rng.integers(230, 256, channels)
        if label:
            pixels[i, :, at] = colour
        else:
            pixels[i, at] = colour
    return ImageData(pixels, labels.astype(np.int64), ("level", "upright"))


def small(**changes: object) -> VaeOptions:
    sizes = {"channels": (8, 16), "blocks": (1, 1), "hidden": 32, "latent_size": 8, "components": 12, "batch_size": 32}
    return replace(VaeOptions(), **{**sizes, "learning_rate": 1e-2, **changes})


def train(task: VaeTask, steps: int) -> list[float]:
    optimizer = task.optimizers()["vae"]
    seen = []
    for step in range(steps):
        (phase,) = task.phases(StepContext(step))
        optimizer.zero_grad()
        phase.loss.backward()
        optimizer.step()
        seen.append(phase.loss.item())
    return seen


@pytest.fixture(scope="module")
def task() -> VaeTask:
    made = VaeTask(strokes(512, 0), strokes(128, 1), small(warmup_steps=100))
    train(made, 500)
    return made


@pytest.fixture(scope="module")
def trained(task: VaeTask) -> VaeGenerator:
    return VaeGenerator.from_task(task, task.modules)


@pytest.mark.parametrize(
    ("channels", "changes"),
    [
        (1, {}),
        (1, {"prior": "normal", "free_bits": 0.1}),
        (1, {"binarise": "once", "importance_samples": 3}),
        (1, {"binarise": "grey", "conditional": True}),
        (4, {"likelihood": "logistic", "prior": "normal", "warmup_steps": 20}),
        (3, {"likelihood": "gaussian", "beta": 0.5, "importance_samples": 2, "importance_from": 20}),
    ],
)
def test_every_choice_trains_and_lowers_its_loss(channels: int, changes: dict[str, object]) -> None:
    losses = train(VaeTask(strokes(64, 0, channels), strokes(32, 1, channels), small(**changes)), 40)
    assert np.isfinite(losses).all()
    assert np.mean(losses[-5:]) < np.mean(losses[:5]) - 10


def test_the_same_step_draws_the_same_whatever_came_before() -> None:
    first, second = (VaeTask(strokes(64, 0), strokes(32, 1), small()) for _ in range(2))
    assert train(first, 3) == train(second, 3)


def test_the_closed_divergence_is_the_sampled_one() -> None:
    mean, log_deviation = torch.tensor([[0.7, -1.2]]), torch.tensor([[-0.5, 0.3]])
    z = mean + torch.randn(200_000, 2, generator=torch.Generator().manual_seed(0)) * torch.exp(log_deviation)
    log_q = -0.5 * ((z - mean) / torch.exp(log_deviation)) ** 2 - log_deviation
    sampled = (log_q + 0.5 * z**2).mean(0)
    torch.testing.assert_close(normal_divergence(mean, log_deviation)[0], sampled, atol=2e-2, rtol=0)


def test_the_bound_grows_with_k_and_never_passes_the_likelihood(task: VaeTask) -> None:
    pixels = binarised(task.held_out.pixels[:40], 3)
    found = [measure_likelihood(task.network.eval(), pixels, k=k) for k in (1, 10, 100)]
    assert found[0].nll == pytest.approx(-found[0].elbo, abs=1e-3)
    assert found[0].nll > found[1].nll > found[2].nll
    assert found[2].elbo == pytest.approx(found[2].reconstruction - found[2].divergence, abs=1e-6)
    assert found[2].bits_per_value == pytest.approx(found[2].nll / math.log(2) / 64)


def test_importance_sampling_finds_a_likelihood_that_is_known() -> None:
    """With a decoder that looks at no latent, p(x) is the decoder's own probability, whatever the encoder says."""
    network = build_vae(small(prior="normal"), (8, 8, 1), 0).eval()
    torch.nn.init.zeros_(network.out.weight)
    torch.nn.init.constant_(network.out.bias, math.log(0.25 / 0.75))
    pixels = binarised(strokes(20, 0).pixels, 0)
    lit = (pixels == 255).sum(axis=(1, 2, 3))
    expected = -(lit * math.log(0.25) + (64 - lit) * math.log(0.75)).mean()
    assert measure_likelihood(network, pixels, k=1000).nll == pytest.approx(expected, abs=0.2)


def test_measuring_grey_pictures_as_binary_ones_is_refused(task: VaeTask) -> None:
    with pytest.raises(InvalidInputError, match="binarise them"):
        measure_likelihood(task.network, task.held_out.pixels[:4])
    with pytest.raises(InvalidInputError, match="k is 0"):
        measure_likelihood(task.network, binarised(task.held_out.pixels[:4], 0), k=0)
    with pytest.raises(InvalidInputError, match="no pictures"):
        measure_likelihood(task.network, task.held_out.pixels[:0])


def test_the_importance_weighted_loss_is_minus_the_bound_and_its_gradient_is_doubly_reparametrised() -> None:
    z = torch.tensor([[0.3], [-0.8], [1.4]], requires_grad=True)  # k = 3 of one picture
    slope = torch.tensor(1.7, requires_grad=True)
    likelihood = (-((slope * z[:, 0] - 1) ** 2)).view(3, 1)
    zero = torch.zeros(3, 1)
    terms = Terms(likelihood, zero, zero, z, torch.zeros(1, 1), torch.zeros(1, 1))
    loss = importance_weighted_loss(terms, 1.0)
    assert loss.item() == pytest.approx(math.log(3) - torch.logsumexp(likelihood, 0).item(), abs=1e-6)
    loss.backward()
    shares = torch.softmax(likelihood.detach(), 0)[:, 0]
    by_z = 2 * slope.detach() * (slope.detach() * z.detach()[:, 0] - 1)
    torch.testing.assert_close(z.grad[:, 0], shares**2 * by_z)
    by_slope = (shares * 2 * z.detach()[:, 0] * (slope.detach() * z.detach()[:, 0] - 1)).sum()
    torch.testing.assert_close(slope.grad, by_slope)


def test_the_bytes_of_a_logistic_pixel_have_probabilities_that_sum_to_one() -> None:
    likelihood = build_likelihood("logistic", 1)
    x = (torch.arange(256) / 127.5 - 1).view(256, 1, 1, 1)
    for mean, log_scale in ((0.1, -3.0), (-1.0, -6.5), (0.99, -1.0)):
        parameters = torch.tensor([mean, log_scale]).view(1, 2, 1, 1).expand(256, 2, 1, 1)
        assert torch.exp(likelihood.log_prob(parameters, x)).sum().item() == pytest.approx(1, abs=1e-3)
        assert torch.isfinite(likelihood.log_prob(parameters, x)).all()


def test_binarising_keeps_the_mean_and_follows_the_seed() -> None:
    grey = np.full((100, 10, 10, 1), 64, np.uint8)
    assert set(np.unique(binarised(grey, 0))) == {0, 255}
    assert binarised(grey, 0).mean() / 255 == pytest.approx(64 / 255, abs=0.02)
    assert (binarised(grey, 0) == binarised(grey, 0)).all()
    assert (binarised(grey, 0) != binarised(grey, 1)).any()


def test_the_colour_behind_nothing_is_not_learned() -> None:
    pixels = np.full((1, 2, 2, 4), 200, np.uint8)
    pixels[0, 0, :, 3] = 0
    assert visible(pixels)[0, 0].max() == 0
    assert (visible(pixels)[0, 1] == 200).all()


def test_a_reconstruction_looks_like_the_original(trained: VaeGenerator) -> None:
    pixels = strokes(50, 7).pixels
    error = np.abs(trained.reconstruct(pixels).astype(float) - pixels)
    assert error.mean() < 0.35 * np.abs(pixels.astype(float) - pixels.mean(axis=0)).mean()


def test_classes_come_from_the_prior_though_the_network_knows_none(trained: VaeGenerator) -> None:
    assert isinstance(trained, ImageGenerator)
    assert isinstance(trained, LatentModel)
    level, upright = (
        np.stack([m.pixels[..., 0] for m in trained.generate(ImageRequest(list(range(40)), [c] * 40))]).astype(float)
        for c in ("level", "upright")
    )
    assert level.mean(axis=2).std(axis=1).mean() > 1.5 * level.mean(axis=1).std(axis=1).mean()
    assert upright.mean(axis=1).std(axis=1).mean() > 1.5 * upright.mean(axis=2).std(axis=1).mean()


def test_a_row_is_the_same_alone_and_in_a_batch(trained: VaeGenerator) -> None:
    seeds = list(range(37))
    together = trained.generate(ImageRequest(seeds))
    for i in (0, 15, 16, 36):
        alone = trained.generate(ImageRequest([seeds[i]]))[0]
        assert alone.pixels.tobytes() == together[i].pixels.tobytes()
        assert (alone.label, alone.quality) == (together[i].label, together[i].quality)
    latents = trained.encode(strokes(37, 3).pixels)
    assert trained.encode(strokes(37, 3).pixels[20:21]).tobytes() == latents[20:21].tobytes()


def test_a_latent_that_comes_back_makes_the_same_picture(trained: VaeGenerator) -> None:
    made = trained.generate(ImageRequest([5], ["level"]))[0]
    again = trained.generate(ImageRequest([9], ["level"], latents=made.latent[None]))[0]
    assert again.pixels.tobytes() == made.pixels.tobytes() == trained.decode(made.latent[None])[0].tobytes()
    tight, wide = (
        np.stack([m.latent for m in trained.generate(ImageRequest(list(range(50)), truncation=psi))])
        for psi in (0.1, 1.0)
    )
    assert tight.std(axis=0).mean() < wide.std(axis=0).mean()


def test_quality_ranks_noise_below_real_pictures(trained: VaeGenerator) -> None:
    noise = np.random.default_rng(0).integers(256, size=(20, 8, 8, 1), dtype=np.uint8)
    assert trained.quality(noise).max() < 0.05
    assert 0.2 < trained.quality(strokes(60, 9).pixels).mean() < 0.8


def test_what_is_saved_comes_back_and_makes_the_same(trained: VaeGenerator, tmp_path: Path) -> None:
    trained.save(tmp_path)
    again = load_generator(tmp_path)
    assert isinstance(again, VaeGenerator)
    assert again.described == trained.described
    for a, b in zip(trained.generate(ImageRequest([1, 2])), again.generate(ImageRequest([1, 2])), strict=True):
        assert a.pixels.tobytes() == b.pixels.tobytes()
        assert a.quality == b.quality


def test_broken_missing_and_newer_models_are_refused_by_name(trained: VaeGenerator, tmp_path: Path) -> None:
    with pytest.raises(CorruptDataError, match=r"config\.json"):
        VaeGenerator.load(tmp_path)
    trained.save(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    for changed in (
        config | {"format": 2},
        config | {"kind": "gan"},
        config | {"options": {}},
        config | {"options": config["options"] | {"prior": "flow"}},
        [],
    ):
        (tmp_path / "config.json").write_text(json.dumps(changed))
        with pytest.raises(CorruptDataError, match=r"config\.json"):
            VaeGenerator.load(tmp_path)
    for changed in (config | {"classes": ["one"]}, config | {"options": config["options"] | {"latent_size": 5}}):
        (tmp_path / "config.json").write_text(json.dumps(changed))
        with pytest.raises(CorruptDataError, match=r"model\.safetensors"):
            VaeGenerator.load(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps(config))
    (tmp_path / "model.safetensors").write_bytes(b"\x80\x04\x95pickle")
    with pytest.raises(CorruptDataError, match=r"model\.safetensors"):
        VaeGenerator.load(tmp_path)


@pytest.mark.parametrize(
    ("field", "request_"),
    [
        ("classes[1]", ImageRequest([1, 2], ["level", "slanted"])),
        ("truncation", ImageRequest([1], truncation=0.0)),
        ("truncation", ImageRequest([1], truncation=float("nan"))),
        ("truncation", ImageRequest([1], truncation=2.0, latents=np.zeros((1, 8), np.float32))),
        ("latents", ImageRequest([1], latents=np.zeros((1, 9), np.float32))),
        ("latents", ImageRequest([1], latents=np.full((1, 8), np.nan, np.float32))),
        ("seeds[0]", ImageRequest([-1])),
    ],
)
def test_a_request_that_cannot_be_met_names_its_field(
    trained: VaeGenerator, field: str, request_: ImageRequest
) -> None:
    with pytest.raises(InvalidInputError) as caught:
        trained.generate(request_)
    assert caught.value.field == field


def test_pictures_of_another_size_are_refused(trained: VaeGenerator) -> None:
    for pixels in (np.zeros((1, 9, 8, 1), np.uint8), np.zeros((1, 8, 8, 1), np.float32), np.zeros((8, 8, 1), np.uint8)):
        with pytest.raises(InvalidInputError, match="this model knows"):
            trained.encode(pixels)


@pytest.mark.parametrize(
    ("field", "changes"),
    [
        ("likelihood", {"likelihood": "laplace"}),
        ("prior", {"prior": "flow"}),
        ("binarise", {"binarise": "twice"}),
        ("latent_size", {"latent_size": 0}),
        ("channels", {"channels": ()}),
        ("channels", {"channels": (12, 16)}),
        ("blocks", {"blocks": (1,)}),
        ("beta", {"beta": -1.0}),
        ("beta", {"beta": float("nan")}),
        ("free_bits", {"free_bits": 0.5}),
        ("free_bits", {"free_bits": 0.5, "prior": "normal", "importance_samples": 2}),
        ("learning_rate", {"learning_rate": 0.0}),
        ("importance_samples", {"importance_samples": 0}),
    ],
)
def test_options_without_a_meaning_are_refused_by_name(field: str, changes: dict[str, object]) -> None:
    with pytest.raises(InvalidInputError) as caught:
        small(**changes)
    assert caught.value.field == field


def test_pictures_that_cannot_be_learned_are_refused() -> None:
    odd = ImageData(np.zeros((4, 9, 9, 1), np.uint8))
    with pytest.raises(InvalidInputError, match="divide by 4"):
        VaeTask(odd, odd, small())
    with pytest.raises(InvalidInputError, match="held out"):
        VaeTask(strokes(4, 0), ImageData(np.zeros((0, 8, 8, 1), np.uint8)), small())
    with pytest.raises(InvalidInputError, match="of one size"):
        VaeTask(strokes(4, 0), odd, small())
    with pytest.raises(InvalidInputError, match="take 'logistic'"):
        VaeTask(strokes(4, 0, 3), strokes(4, 1, 3), small())
    with pytest.raises(InvalidInputError, match="labels"):
        VaeTask(replace(strokes(4, 0), labels=np.zeros(3, np.int64)), strokes(4, 1), small())


def test_the_sheet_is_the_same_at_every_look_and_the_elbo_is_what_likelihood_says(
    task: VaeTask, tmp_path: Path
) -> None:
    first, second = (Image.open(task.draw_samples(task.modules, tmp_path / name)) for name in ("a", "b"))
    assert first.tobytes() == second.tobytes()
    measured = task.validate({"vae": task.network.eval()})
    report = measure_likelihood(task.network, binarised(task.held_out.pixels, 1), k=20)
    assert measured["elbo"] == pytest.approx(report.elbo, abs=1)
    assert 0 <= measured["diversity"] <= 1


class TestLatentPrior:
    def two_heaps(self) -> tuple[np.ndarray, np.ndarray]:
        rng = np.random.default_rng(0)
        labels = np.arange(2000) % 2
        centres = np.array([[4.0, 0, 0], [-4.0, 0, 0]])
        return (centres[labels] + rng.normal(size=(2000, 3)) * [1, 0.1, 3]).astype(np.float32), labels.astype(np.int64)

    def test_draws_are_like_what_it_was_fitted_to(self) -> None:
        latents, labels = self.two_heaps()
        prior = LatentPrior.fit(latents, labels, 2, components=3)
        for row in (0, 1, -1):
            own = latents if row < 0 else latents[labels == row]
            drawn = np.stack([prior.draw(seed, row) for seed in range(2000)])
            np.testing.assert_allclose(drawn.mean(axis=0), own.mean(axis=0), atol=0.35)
            np.testing.assert_allclose(drawn.std(axis=0), own.std(axis=0), rtol=0.1)
            np.testing.assert_allclose(prior.mean(row), own.mean(axis=0), atol=0.05)

    def test_its_density_is_higher_than_the_normal_one_s_and_integrates_to_one(self) -> None:
        latents, labels = self.two_heaps()
        fitted, normal = LatentPrior.fit(latents, labels, 2), LatentPrior.standard(3, 2)
        assert fitted.log_density(latents).mean() > normal.log_density(latents).mean() + 5
        drawn = np.stack([fitted.draw(seed) for seed in range(4000)])
        wide = LatentPrior(
            np.zeros((1, 3), np.float32), np.array([[6.0, 1, 5]], np.float32), np.ones((1, 1), np.float32)
        )
        drawn = np.stack([wide.draw(seed) for seed in range(5_000)])
        ratio = np.exp(fitted.log_density(drawn).astype(np.float64) - wide.log_density(drawn))
        assert ratio.mean() == pytest.approx(1, abs=0.15)

    def test_a_learned_mixture_gives_the_density_it_was_learned_with(self) -> None:
        torch.manual_seed(0)
        density = MixtureDensity(7, 3)
        z = torch.randn(50, 3)
        prior = LatentPrior.learned(density, z.numpy(), np.arange(50) % 2, 2)
        expected = torch.logsumexp(density(z), 1).detach().numpy()
        np.testing.assert_allclose(prior.log_density(z.numpy()), expected, rtol=1e-4)

    def test_truncation_draws_towards_the_component(self) -> None:
        prior = LatentPrior.fit(*self.two_heaps(), 2, components=1)
        np.testing.assert_allclose(prior.draw(3, 0, 1e-6), prior.mean(0), atol=1e-3)

    def test_classes_with_too_little_are_refused(self) -> None:
        latents, labels = self.two_heaps()
        with pytest.raises(InvalidInputError, match="class 2"):
            LatentPrior.fit(latents, labels, 3)
        with pytest.raises(InvalidInputError, match="labels"):
            LatentPrior.fit(latents, labels[:5], 2)

    def test_a_prior_of_another_size_is_refused_by_the_file_s_name(self) -> None:
        tensors = LatentPrior.standard(3, 2).tensors()
        with pytest.raises(CorruptDataError, match="here"):
            LatentPrior.from_tensors(tensors, 4, 3, "here")
        del tensors["prior.means"]
        with pytest.raises(CorruptDataError, match="here lacks"):
            LatentPrior.from_tensors(tensors, 3, 3, "here")

    def test_stages_have_names(self, task: VaeTask) -> None:
        with pytest.raises(InvalidInputError, match="stage"):
            build_prior(task, task.network, "second")
        normal = build_vae(small(prior="normal"), (8, 8, 1), 0)
        with pytest.raises(InvalidInputError, match="learned along"):
            build_prior(task, normal, "learned")
        assert len(build_prior(task, task.network, "normal").means) == 1
        assert build_prior(task, task.network, "fitted").factors.ndim == 3
