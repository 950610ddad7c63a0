"""A VAE in training: one loss, one optimiser."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.optim import Optimizer

from aigc.errors import InvalidInputError
from aigc.generate.base import ImageData
from aigc.generate.diversity import diversity
from aigc.generate.pictures import draw_sheet, to_pixels, to_tensor
from aigc.generate.task import Phase, StepContext
from aigc.generate.vae import Terms, VaeNetwork, build_vae
from aigc.generate.vae_options import VaeOptions

__all__ = ["VaeTask", "binarised", "normal_divergence", "visible"]

_VALIDATED = 512
_CHUNK = 128
_STREAM_NOISE, _STREAM_BINARISE = 0, 1


class VaeTask:
    """See :class:`aigc.generate.task.Task`."""

    def __init__(self, train: ImageData, held_out: ImageData, options: VaeOptions) -> None:
        """Args: train: to learn from; held_out: to measure on; options: the recipe.

        Raises:
            InvalidInputError: No pictures, of different shapes, labels of another number, or sides that the networks
                cannot halve.
        """
        shape = train.pixels.shape
        if (
            len(shape) != 4
            or not len(train.pixels)
            or len(held_out.pixels) < 2
            or held_out.pixels.shape[1:] != shape[1:]
        ):
            raise InvalidInputError(
                f"pictures of shapes {shape} and {held_out.pixels.shape}: (n, height, width, channels) of one size are "
                "needed, and at least two held out",
                field="pixels",
            )
        self.classes = tuple(train.classes)
        for data in (train, held_out) if self.classes else ():
            if len(data.labels) != len(data.pixels):
                raise InvalidInputError(f"{len(data.pixels)} pictures, {len(data.labels)} labels", field="labels")
        self.options, self.train, self.held_out = options, train, held_out
        self.image_shape = (int(shape[1]), int(shape[2]), int(shape[3]))
        self.conditional = options.conditional and bool(self.classes)
        self.network = build_vae(options, self.image_shape, len(self.classes) if self.conditional else 0)
        self.pixels = visible(train.pixels)
        if options.likelihood == "bernoulli" and options.binarise == "once":
            self.pixels = binarised(train.pixels, options.seed)
        self.labels = torch.from_numpy(_rows(train))
        self.binary = options.likelihood == "bernoulli" and options.binarise != "grey"

    @property
    def name(self) -> str:
        """What is trained."""
        return f"vae ({self.options.likelihood}, prior {self.options.prior})"

    @property
    def modules(self) -> Mapping[str, nn.Module]:
        """The one network."""
        return {"vae": self.network}

    @property
    def averaged(self) -> tuple[str, ...]:
        """The network."""
        return ("vae",)

    def optimizers(self) -> Mapping[str, Optimizer]:
        """AdamW over everything: encoder, decoder and prior share the one loss."""
        o = self.options
        fused = torch.optim.AdamW(
            self.network.parameters(), lr=o.learning_rate, betas=(0.9, 0.99), weight_decay=o.weight_decay, fused=True
        )
        return {"vae": fused}

    def phases(self, context: StepContext) -> Iterator[Phase]:
        """One: the negative bound of a batch, in nats a picture."""
        o = self.options
        rows = context.rows(len(self.pixels), o.batch_size)
        x, labels = self.batch(rows, context), self.labels[rows].to(context.device)
        k = o.importance_samples if context.step >= o.importance_from else 1
        noise = context.normal(o.batch_size, k, o.latent_size, stream=_STREAM_NOISE).transpose(0, 1)  # (k, B, d)
        beta = o.beta * min(1.0, (context.step + 1) / o.warmup_steps) if o.warmup_steps else o.beta
        closed = o.prior == "normal" and k == 1
        terms: Terms = self.network(x, labels, noise, detach=not closed)
        if closed:
            divergence = normal_divergence(terms.mean, terms.log_deviation).mean(0)  # (d,)
            loss = beta * divergence.clamp(min=o.free_bits).sum() - terms.likelihood.mean()
            kl = divergence.sum()
        else:
            loss = importance_weighted_loss(terms, beta)
            kl = (terms.posterior - terms.prior).mean()
        reconstruction = -terms.likelihood.detach().mean()
        metrics = {"reconstruction": reconstruction, "divergence": kl.detach(), "elbo": -(reconstruction + kl.detach())}
        yield Phase("vae", loss, metrics)

    def batch(self, rows: Tensor, context: StepContext) -> Tensor:
        """(B, C, H, W) float32 in [-1, 1] of these training pictures, as this step sees them."""
        x = to_tensor(self.pixels[rows.numpy()]).to(context.device)
        if self.binary and self.options.binarise == "anew":
            uniform = context.uniform(self.options.batch_size, *x.shape[1:], stream=_STREAM_BINARISE)
            x = torch.where(uniform < (x + 1) / 2, 1.0, -1.0)
        return x

    def seen(self, part: slice, seed: int = 0) -> NDArray[np.uint8]:
        """Training pictures as the encoder sees them: binarised where they are."""
        pixels = self.pixels[part]
        return binarised(pixels, seed * 1_000_003 + (part.start or 0)) if self.binary else pixels

    def validate(self, modules: Mapping[str, nn.Module]) -> Mapping[str, float]:
        """The ELBO of held-out pictures in nats a picture, and how varied are those drawn from the prior."""
        network = modules["vae"]
        assert isinstance(network, VaeNetwork)
        pixels, labels = self.held_out.pixels[:_VALIDATED], _rows(self.held_out)[:_VALIDATED]
        pixels = binarised(pixels, 1) if self.binary else visible(pixels)
        device = next(network.parameters()).device
        noise = torch.randn(1, len(pixels), self.options.latent_size, generator=torch.Generator().manual_seed(2))
        sums = 0.0
        for start in range(0, len(pixels), _CHUNK):
            part = slice(start, start + _CHUNK)
            terms = network(
                to_tensor(pixels[part]).to(device), torch.from_numpy(labels[part]).to(device), noise[:, part].to(device)
            )
            sums += float(terms.log_weights().sum())
        made = self._draw(network, len(pixels), seed=1)
        return {"elbo": sums / len(pixels), "diversity": diversity(self.held_out.pixels[: len(made)], made)}

    def draw_samples(self, modules: Mapping[str, nn.Module], path: Path) -> Path | None:
        """Fifty pictures from the prior; below them twenty-five held-out ones, each beside its reconstruction."""
        network = modules["vae"]
        assert isinstance(network, VaeNetwork)
        real = visible(self.held_out.pixels[:25])
        device = next(network.parameters()).device
        labels = torch.from_numpy(_rows(self.held_out)[: len(real)]).to(device)
        with torch.no_grad():
            mean, _ = network.posterior(to_tensor(real).to(device), labels)
            again = to_pixels(network.likelihood.mean(network.decode(mean, labels)))
        pairs = np.stack([real, again], axis=1).reshape(-1, *self.image_shape)
        sheet = np.concatenate([self._draw(network, 50, seed=0), pairs])
        return draw_sheet(sheet, path.with_name(path.name + ".png"), columns=10)

    def _draw(self, network: VaeNetwork, n: int, seed: int) -> NDArray[np.uint8]:
        """From the prior that is trained along, whatever second stage may follow."""
        source = torch.Generator().manual_seed(seed)
        z = torch.randn(n, self.options.latent_size, generator=source)
        if network.prior is not None:
            density = network.prior
            chosen = torch.multinomial(torch.softmax(density.logits.detach().cpu(), 0), n, True, generator=source)
            z = density.means.detach().cpu()[chosen] + z * torch.exp(density.log_variances.detach().cpu()[chosen] / 2)
        labels = torch.arange(n) * max(1, len(self.classes)) // n
        device = next(network.parameters()).device
        with torch.no_grad():
            return to_pixels(network.likelihood.mean(network.decode(z.to(device), labels.to(device))))


def importance_weighted_loss(terms: Terms, beta: float) -> Tensor:
    """Minus the bound of k samples, log 1/k Σ w (Burda et al. 2016, equation 8).

    The gradient is the doubly reparametrised one: what reaches the encoder through z is weighed by the square of the
    normalised weights (Tucker et al. 2019, equation 8). Taken plainly, its signal falls with k. ``terms`` come with
    ``detach=True``; with k = 1 the weight is 1 and the loss minus the ELBO.
    """
    log_weights = terms.log_weights(beta)  # (k, B)
    k, b = log_weights.shape
    shares = torch.softmax(log_weights.detach(), 0)
    if k > 1 and terms.z.requires_grad:
        terms.z.register_hook(lambda gradient: gradient * shares.view(k * b, 1))  # type: ignore[no-untyped-call]
    surrogate = (shares * log_weights).sum(0).mean()
    value = (torch.logsumexp(log_weights.detach(), 0) - math.log(k)).mean()
    return value.neg() - (surrogate - surrogate.detach())


def normal_divergence(mean: Tensor, log_deviation: Tensor) -> Tensor:
    """(B, d): KL(N(μ, σ²) ‖ N(0, 1)) of each latent (Kingma and Welling 2014, appendix B), from (B, d) each."""
    return 0.5 * (mean**2 + torch.exp(2 * log_deviation) - 1) - log_deviation


def binarised(pixels: NDArray[np.uint8], seed: int) -> NDArray[np.uint8]:
    """0 or 255 in the place of each value, once and for all: 255 with the probability value / 255.

    The static binarisation of Salakhutdinov and Murray (2008), whose one draw of MNIST Larochelle published and which
    the literature's "binary MNIST" figures are of; another seed is another draw of the same distribution.
    """
    uniform = np.random.default_rng(seed).random(pixels.shape, np.float32)
    return np.where(uniform < pixels.astype(np.float32) / 255, np.uint8(255), np.uint8(0))


def visible(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The same, black where nothing shows: the colour behind an alpha of 0 is no content to be learned."""
    if pixels.shape[-1] != 4:
        return pixels
    return np.where(pixels[..., 3:] == 0, np.uint8(0), pixels)


def _rows(data: ImageData) -> NDArray[np.int64]:
    return data.labels if len(data.labels) else np.zeros(len(data.pixels), np.int64)
