"""The networks of a GAN for pictures: convolutional with residual blocks, and the article's perceptrons.

``residual`` follows R3GAN ("The GAN is dead; long live the GAN!", Huang et al. 2024): inverted-bottleneck blocks with
grouped convolutions, no normalisation anywhere, the last convolution of a block starting at zero (Fixup, Zhang et al.
2019), a learned basis between latent and lowest resolution, and the class by inner product at the discriminator's end
(Miyato and Koyama 2018). It differs in being small, and in the outermost stage, which works on patches of pixels.

``article`` is the article's pair. Where the article is wrong:

* Its printed discriminator, D(x) = ½[1 + sigmoid(-2 log D(x))], defines D by itself and never falls below ½: no network
  and no probability of being real. Built here is what its code builds, a perceptron that ends in one logit.
* Its code trains the generator by ``generator.train_on_batch(z, y)``, towards labels, without the discriminator: no
  gradient of any picture's realness reaches it. Here the loss passes through the discriminator.
* Its real pictures are random numbers (``np.random.rand``). Here they are the data.
* Its tables show both losses reaching 0.001. With L_D = -log D(x) - log(1 - D(G(z))) and L_G = -log D(G(z)) both cannot
  be small at once: L_D near 0 needs D(G(z)) near 0, where L_G is large. At the optimum D = ½ and L_D = 2 log 2 ≈ 1.386.
"""

from __future__ import annotations

import itertools
import math

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from aigc.errors import InvalidInputError
from aigc.generate.gan_options import GanOptions

__all__ = ["ArticleDiscriminator", "ArticleGenerator", "Discriminator", "Generator", "build_networks"]

_SLOPE = 0.2
_GROUP = 16
_EXPANSION = 2
_CLASS_SIZE = 32
_FEATURES = 256


def build_networks(options: GanOptions, image_shape: tuple[int, int, int], classes: int) -> tuple[nn.Module, nn.Module]:
    """A generator, called with (z, class rows), and a discriminator, called with (pictures, class rows).

    Args:
        options: Architecture, sizes, and the seed of the weights.
        image_shape: (height, width, channels).
        classes: How many the networks are conditional on; 0 for none.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(options.seed)
        if options.architecture == "article":
            return ArticleGenerator(image_shape, options), ArticleDiscriminator(image_shape, options)
        generator, discriminator = (
            Generator(image_shape, classes, options),
            Discriminator(image_shape, classes, options),
        )
    # Pixel-major memory is what the bf16 convolutions of oneDNN and cuDNN work on.
    return (
        generator.to(memory_format=torch.channels_last),
        discriminator.to(memory_format=torch.channels_last),
    )


class Block(nn.Module):
    """x + 1×1 → grouped 3×3 → 1×1, each convolution but the last followed by LeakyReLU."""

    def __init__(self, channels: int, depth: int) -> None:
        """Args: channels: in and out; depth: blocks of the whole network, for the scale of the first weights."""
        super().__init__()
        wide = channels * _EXPANSION
        self.widen = nn.Conv2d(channels, wide, 1)
        self.mix = nn.Conv2d(wide, wide, 3, padding=1, groups=wide // _GROUP)
        self.narrow = nn.Conv2d(wide, channels, 1, bias=False)
        for layer in (self.widen, self.mix):
            _he(layer, depth**-0.25)
        nn.init.zeros_(self.narrow.weight)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) of the same."""
        y = F.leaky_relu(self.widen(x), _SLOPE)
        y = F.leaky_relu(self.mix(y), _SLOPE)
        out: Tensor = x + self.narrow(y)
        return out


class Generator(nn.Module):
    """Latents → pictures in [-1, 1]."""

    def __init__(self, image_shape: tuple[int, int, int], classes: int, options: GanOptions) -> None:
        """See :func:`build_networks`."""
        super().__init__()
        height, width = _lowest(image_shape, options)
        channels, depth = options.channels, options.blocks * len(options.channels)
        self.patch = options.patch
        self.embed = nn.Embedding(classes, _CLASS_SIZE) if classes else None
        self.lowest = (channels[0], height, width)
        self.mix = nn.Linear(options.latent_size + (_CLASS_SIZE if classes else 0), _FEATURES)
        self.flat = nn.Linear(_FEATURES, channels[0] * height * width)
        _he(self.mix, 1.0)
        _he(self.flat, 1.0)
        self.stages = nn.ModuleList(nn.Sequential(*(Block(c, depth) for _ in range(options.blocks))) for c in channels)
        self.widths = nn.ModuleList(_pointwise(a, b) for a, b in itertools.pairwise(channels))
        self.out = nn.Conv2d(channels[-1], image_shape[2] * options.patch**2, 3, padding=1)
        _he(self.out, 0.5)

    def forward(self, z: Tensor, labels: Tensor) -> Tensor:
        """(B, C, H, W) of (B, latent_size) and (B,) class rows, which are not looked at without classes."""
        if self.embed is not None:
            z = torch.cat([z, self.embed(labels)], dim=1)  # (B, latent_size + 32)
        x = self.flat(F.leaky_relu(self.mix(z), _SLOPE)).view(-1, *self.lowest)  # (B, channels[0], h, w)
        x = x.contiguous(memory_format=torch.channels_last)
        for i, stage in enumerate(self.stages):
            if i:
                x = self.widths[i - 1](x)
                x = F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
            x = stage(x)
        x = self.out(F.leaky_relu(x, _SLOPE))  # (B, C · patch², H / patch, W / patch)
        return torch.tanh(F.pixel_shuffle(x, self.patch).float())


class Discriminator(nn.Module):
    """Pictures → one number each (or each pack), higher for real ones."""

    def __init__(self, image_shape: tuple[int, int, int], classes: int, options: GanOptions) -> None:
        """See :func:`build_networks`."""
        super().__init__()
        height, width = _lowest(image_shape, options)
        channels, depth = options.channels[::-1], options.blocks * len(options.channels)
        self.patch, self.pack = options.patch, options.pack
        self.stem = nn.Conv2d(image_shape[2] * options.pack * options.patch**2, channels[0], 3, padding=1)
        _he(self.stem, 1.0)
        self.stages = nn.ModuleList(nn.Sequential(*(Block(c, depth) for _ in range(options.blocks))) for c in channels)
        self.widths = nn.ModuleList(_pointwise(a, b) for a, b in itertools.pairwise(channels))
        self.flat = nn.Linear(channels[-1] * height * width, _FEATURES)
        _he(self.flat, 1.0)
        self.embed = nn.Embedding(classes, _FEATURES) if classes else None
        self.out = nn.Linear(_FEATURES, _FEATURES if classes else 1)

    def features(self, x: Tensor) -> Tensor:
        """(B / pack, 256) of (B, C, H, W) in [-1, 1]."""
        x = _packed(x, self.pack).contiguous(memory_format=torch.channels_last)  # (B / pack, C · pack, H, W)
        x = self.stem(F.pixel_unshuffle(x, self.patch))
        for i, stage in enumerate(self.stages):
            if i:
                x = self.widths[i - 1](F.avg_pool2d(x, 2))
            x = stage(x)
        x = self.flat(F.leaky_relu(x, _SLOPE).flatten(1))  # (B / pack, 256)
        return F.leaky_relu(x, _SLOPE)

    def forward(self, x: Tensor, labels: Tensor) -> Tensor:
        """(B / pack,) logits of (B, C, H, W) in [-1, 1] and (B,) class rows."""
        x = self.out(self.features(x))
        if self.embed is None:
            return x[:, 0].float()
        known = self.embed(labels.view(-1, self.pack)).mean(dim=1)  # (B / pack, size)
        logits: Tensor = (x * known).sum(dim=1).float() / math.sqrt(x.shape[1])
        return logits


class ArticleGenerator(nn.Module):
    """100 → 128 → 256 → 512 → 1024 → 784 (as many as the picture has), LeakyReLU(0.01), tanh."""

    def __init__(self, image_shape: tuple[int, int, int], options: GanOptions) -> None:
        """See :func:`build_networks`."""
        super().__init__()
        self.shape = (image_shape[2], *image_shape[:2])
        sizes = (options.latent_size, 128, 256, 512, 1024, math.prod(image_shape))
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in itertools.pairwise(sizes))

    def forward(self, z: Tensor, labels: Tensor) -> Tensor:
        """(B, C, H, W) of (B, latent_size)."""
        del labels
        for layer in self.layers[:-1]:
            z = F.leaky_relu(layer(z), 0.01)
        return torch.tanh(self.layers[-1](z).float()).view(-1, *self.shape)


class ArticleDiscriminator(nn.Module):
    """784 → 512 → 256 → 128 → 1, LeakyReLU(0.01); the sigmoid is in the loss, where it is computed safely."""

    def __init__(self, image_shape: tuple[int, int, int], options: GanOptions) -> None:
        """See :func:`build_networks`."""
        super().__init__()
        self.pack = options.pack
        sizes = (math.prod(image_shape) * options.pack, 512, 256, 128, 1)
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in itertools.pairwise(sizes))

    def forward(self, x: Tensor, labels: Tensor) -> Tensor:
        """(B / pack,) logits of (B, C, H, W) in [-1, 1]."""
        del labels
        x = _packed(x, self.pack).flatten(1)
        for layer in self.layers[:-1]:
            x = F.leaky_relu(layer(x), 0.01)
        logits: Tensor = self.layers[-1](x)[:, 0].float()
        return logits


def _packed(x: Tensor, pack: int) -> Tensor:
    """(B / pack, C · pack, H, W): neighbours of the batch as channels of one picture."""
    return x if pack == 1 else x.reshape(len(x) // pack, pack * x.shape[1], *x.shape[2:])


def _pointwise(a: int, b: int) -> nn.Module:
    layer = nn.Conv2d(a, b, 1, bias=False)
    nn.init.normal_(layer.weight, std=a**-0.5)
    return layer


def _he(layer: nn.Conv2d | nn.Linear, gain: float) -> None:
    """He et al. (2015) for LeakyReLU, scaled."""
    fan = layer.weight[0].numel()
    nn.init.normal_(layer.weight, std=gain * math.sqrt(2 / (1 + _SLOPE**2) / fan))
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)


def _lowest(image_shape: tuple[int, int, int], options: GanOptions) -> tuple[int, int]:
    """(height, width) of the lowest stage."""
    factor = options.patch * 2 ** (len(options.channels) - 1)
    height, width = image_shape[:2]
    if height % factor or width % factor or min(height, width) < factor:
        raise InvalidInputError(
            f"pictures of {height} × {width} do not halve {len(options.channels) - 1} times in patches of "
            f"{options.patch}: resize them to multiples of {factor}, or take fewer channels",
            field="channels",
        )
    return height // factor, width // factor
