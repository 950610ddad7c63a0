"""The networks of a variational autoencoder, and what it learns by: the ELBO or its importance-weighted relative.

A VAE (Kingma and Welling 2014) is a latent-variable model p(x) = ∫ p(z) p(x|z) dz with an encoder q(z|x) that proposes
latents for a content. One number is made large for encoder, decoder and prior at once:

    ELBO = E_q(z|x)[log p(x|z)] - β KL(q(z|x) ‖ p(z))  ≤  log p(x)   (β = 1)

Where the article is wrong:

* Its encoder loss, L_E = E_x[log p(μ, σ²|x)], is no loss of anything: μ and σ² are what the encoder computes of x, not
  random numbers with a density. What is missing is the KL divergence between q(z|x) = N(μ, σ²) and the prior. Without
  it nothing makes the latents of real content look like what is later drawn, and sampling gives noise.
* Its total, L_E + λ L_D, is a log-likelihood that would have to rise, called a loss, and weighs the reconstruction
  (with no z in it: p(x|μ, σ²)) instead of the divergence. Here -ELBO falls and β weighs the divergence.
* It trains encoder and decoder in turns. Both maximise the same bound and the reconstruction's gradient reaches the
  encoder through z = μ + σ ε: they are trained together by one optimiser.
* Its σ² = E(x) + β may be negative and grows by a constant. Here the network gives log σ.

The networks are convolutional with residual blocks whose last convolution starts at zero (Fixup, Zhang et al. 2019), so
that no normalisation is needed, and the highest resolution works on patches of pixels.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from aigc.errors import InvalidInputError
from aigc.generate.pixel_likelihood import build_likelihood
from aigc.generate.prior import MixtureDensity
from aigc.generate.vae_options import VaeOptions

__all__ = ["Terms", "VaeNetwork", "build_vae"]

_LOG_2_PI = math.log(2 * math.pi)
_CLASS_SIZE = 32
# exp(-6): no posterior is narrower. Keeps a gradient step from making the density infinite.
_LOG_DEVIATION = (-6.0, 3.0)


class Terms(NamedTuple):
    """The three logarithms of an importance weight p(x|z) p(z) / q(z|x), and where it was taken.

    Attributes:
        likelihood: (k, B) float32, log p(x|z).
        prior: (k, B) float32, log p(z).
        posterior: (k, B) float32, log q(z|x).
        z: (k · B, d) float32, the latents.
        mean: (B, d) float32 of the posterior.
        log_deviation: (B, d) float32 of the posterior.
    """

    likelihood: Tensor
    prior: Tensor
    posterior: Tensor
    z: Tensor
    mean: Tensor
    log_deviation: Tensor

    def log_weights(self, beta: float = 1.0) -> Tensor:
        """(k, B): log of p(x|z) (p(z) / q(z|x))^β; its mean over k is the ELBO when β is 1."""
        return self.likelihood + beta * (self.prior - self.posterior)


class Block(nn.Module):
    """x + 3×3 → 3×3, each after a SiLU."""

    def __init__(self, channels: int) -> None:
        """Args: channels: in and out."""
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, padding=1)
        self.second = nn.Conv2d(channels, channels, 3, padding=1)
        nn.init.kaiming_normal_(self.first.weight, nonlinearity="relu")
        nn.init.zeros_(self.second.weight)
        for layer in (self.first, self.second):
            assert layer.bias is not None
            nn.init.zeros_(layer.bias)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) of the same."""
        out: Tensor = x + self.second(F.silu(self.first(F.silu(x))))
        return out


class VaeNetwork(nn.Module):
    """Encoder, decoder, likelihood and prior."""

    def __init__(self, image_shape: tuple[int, int, int], classes: int, options: VaeOptions) -> None:
        """See :func:`build_vae`."""
        super().__init__()
        height, width, colours = image_shape
        channels, patch, depth = options.channels, options.patch, len(options.channels)
        shrink = patch * 2 ** (depth - 1)
        if height % shrink or width % shrink:
            raise InvalidInputError(
                f"pictures of {height} × {width} do not divide by {shrink}: take another patch or number of channels",
                field="channels",
            )
        self.options, self.latent_size, self.patch = options, options.latent_size, patch
        self.lowest = (channels[-1], height // shrink, width // shrink)
        flat = math.prod(self.lowest)
        self.likelihood = build_likelihood(options.likelihood, colours)
        self.prior = MixtureDensity(options.components, options.latent_size) if options.prior == "mixture" else None
        self.embed = nn.Embedding(classes, _CLASS_SIZE) if classes else None
        known = _CLASS_SIZE if classes else 0

        # Patches overlap by a pixel on each side.
        self.stem = nn.Conv2d(colours, channels[0], patch + 2, stride=patch, padding=1)
        down: list[nn.Module] = []
        for i, wide in enumerate(channels):
            if i:
                down.append(nn.Conv2d(channels[i - 1], wide, 4, stride=2, padding=1))
            down += [Block(wide) for _ in range(options.blocks[i])]
        self.down = nn.Sequential(*down)
        self.narrow = nn.Linear(flat + known, options.hidden)
        self.moments = nn.Linear(options.hidden, 2 * options.latent_size)

        self.widen = nn.Linear(options.latent_size + known, options.hidden)
        self.spread = nn.Linear(options.hidden, flat)
        up: list[nn.Module] = []
        for i in reversed(range(depth)):
            up += [Block(channels[i]) for _ in range(options.blocks[i])]
            if i:
                up.append(nn.ConvTranspose2d(channels[i], channels[i - 1], 4, stride=2, padding=1))
        self.up = nn.Sequential(*up)
        values = colours * self.likelihood.parameters_per_value
        self.out = nn.Conv2d(channels[0], values * patch**2, 3, padding=1)

    def hidden_pairs(self) -> Iterator[tuple[nn.Module, nn.Module]]:
        """See :class:`aigc.generate.compression.Prunable`."""
        for module in self.modules():
            if isinstance(module, Block):
                yield module.first, module.second
        yield self.narrow, self.moments
        yield self.widen, self.spread

    def posterior(self, x: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log deviation of q(z|x), (B, d) float32 each, of (B, C, H, W) in [-1, 1] and (B,) class rows."""
        h = self.down(self.stem(x.to(self.stem.weight.dtype)))  # (B, channels[-1], h, w)
        h = F.silu(h).flatten(1)  # (B, flat)
        if self.embed is not None:
            h = torch.cat([h, self.embed(labels).to(h.dtype)], dim=1)
        mean, log_deviation = self.moments(F.silu(self.narrow(h))).float().chunk(2, dim=1)
        return mean, log_deviation.clamp(*_LOG_DEVIATION)

    def decode(self, z: Tensor, labels: Tensor) -> Tensor:
        """(B, C · parameters_per_value, H, W) float32 parameters of the likelihood, of (B, d) and (B,) class rows."""
        if self.embed is not None:
            z = torch.cat([z, self.embed(labels)], dim=1)
        z = z.to(self.out.weight.dtype)  # other than float32 where the model is compressed
        h = self.spread(F.silu(self.widen(z)))  # (B, flat)
        h = h.view(-1, *self.lowest).contiguous(memory_format=torch.channels_last)
        h = self.out(F.silu(self.up(h)))  # (B, values · patch², H / patch, W / patch)
        return F.pixel_shuffle(h.float(), self.patch)

    def log_prior(self, z: Tensor) -> Tensor:
        """(n,) float32, log p(z) of (n, d)."""
        if self.prior is None:
            return -0.5 * (z**2 + _LOG_2_PI).sum(1)
        # Squares that nearly cancel: bfloat16 would be wrong by nats.
        with torch.autocast(z.device.type, enabled=False):
            return torch.logsumexp(self.prior(z.float()), 1)

    def forward(self, x: Tensor, labels: Tensor, noise: Tensor, detach: bool = False) -> Terms:
        """The terms of k importance weights of each content.

        Args:
            x: (B, C, H, W) float32 in [-1, 1].
            labels: (B,) int64.
            noise: (k, B, d) float32, standard normal.
            detach: log q(z|x) passes gradients through z alone ("sticking the landing", Roeder et al. 2017): what is
                left out has expectation 0 and only adds variance.
        """
        return self.weigh(x, labels, *self.posterior(x, labels), noise, detach)

    def weigh(
        self, x: Tensor, labels: Tensor, mean: Tensor, log_deviation: Tensor, noise: Tensor, detach: bool = False
    ) -> Terms:
        """:meth:`forward` after the encoder: more samples of the same contents need it once."""
        k, b, d = noise.shape
        z = (mean + noise * torch.exp(log_deviation)).reshape(k * b, d)
        at, log_width = (mean.detach(), log_deviation.detach()) if detach else (mean, log_deviation)
        offset = (z.view(k, b, d) - at) * torch.exp(-log_width)
        posterior = -(0.5 * offset**2 + log_width + 0.5 * _LOG_2_PI).sum(2)  # (k, B)
        parameters = self.decode(z, labels.repeat(k))
        likelihood = self.likelihood.log_prob(parameters, x.repeat(k, 1, 1, 1))
        prior = self.log_prior(z)
        return Terms(likelihood.view(k, b), prior.view(k, b), posterior, z, mean, log_deviation)


def build_vae(options: VaeOptions, image_shape: tuple[int, int, int], classes: int) -> VaeNetwork:
    """The network.

    Args:
        options: Sizes, likelihood, prior, and the seed of the weights.
        image_shape: (height, width, channels).
        classes: How many it is conditional on; 0 for none.

    Raises:
        InvalidInputError: The sides do not halve as often as there are channels, or the likelihood is for one channel.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(options.seed)
        network = VaeNetwork(image_shape, classes, options)
    # Pixel-major memory is what the bf16 convolutions of oneDNN and cuDNN work on.
    return network.to(memory_format=torch.channels_last)
