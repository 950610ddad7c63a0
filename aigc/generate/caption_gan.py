"""Text → picture: a GAN on the caption, whose discriminator must also tell a wrong caption from the right one.

Matching-aware negatives are Reed et al.'s ("Generative adversarial text to image synthesis", 2016, algorithm 1): a real
picture beside another picture's caption counts as false, or nothing would make the generator read. Here the loss is
relativistic (Huang et al. 2024), so that both a generated picture and a wrong caption have to be less convincing than
*this* real pair; and the discriminator's features must also find their caption among the batch's (Zhang et al. 2021).

The article cites the paper with other authors and describes an autoencoder in it, which is not there.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from aigc.errors import InvalidInputError
from aigc.generate.captions import CaptionEncoder
from aigc.generate.gan import Discriminator, Generator
from aigc.generate.gan_options import GanOptions

__all__ = ["CaptionDiscriminator", "CaptionGanOptions", "build_caption_networks"]


@dataclass(frozen=True, slots=True)
class CaptionGanOptions:
    """Choices.

    Attributes:
        networks: Sizes, rates and penalties as of any GAN; ``conditional`` and ``loss`` do not count.
        caption_size: Numbers a caption becomes.
        mismatch: Weight of the wrong captions; 0 for none.
        contrast: Weight of finding a picture's caption among the batch's.
        temperature: Of that choice.
        dropped: Share of a caption's pieces hidden in training.
        dropped_rare: The same of pieces that only one picture has, since a new caption will have others: what it shares
            with known ones must be enough.
        reach: How far every other picture is shifted and scaled for the discriminator, as a share of the side.
    """

    networks: GanOptions = field(
        default_factory=lambda: GanOptions(channels=(192, 96, 64), penalty=0.5, conditional=False)
    )
    caption_size: int = 128
    mismatch: float = 1.0
    contrast: float = 0.5
    temperature: float = 0.1
    dropped: float = 0.2
    dropped_rare: float = 0.6
    reach: float = 0.12

    def __post_init__(self) -> None:
        for name, least, most in (
            ("caption_size", 1, 4096),
            ("mismatch", 0, math.inf),
            ("contrast", 0, math.inf),
            ("temperature", 0.01, 10),
            ("dropped", 0, 0.9),
            ("dropped_rare", 0, 1),
            ("reach", 0, 0.5),
        ):
            value = getattr(self, name)
            if not (math.isfinite(value) and least <= value <= most):
                raise InvalidInputError(f"{name} is {value}: take a number from {least} to {most}", field=name)
        if self.networks.architecture != "residual" or self.networks.pack != 1 or self.networks.unroll_steps:
            raise InvalidInputError(
                "networks: a residual pair, neither packed nor unrolled, is needed", field="networks"
            )


class CaptionDiscriminator(nn.Module):
    """A picture and a caption's vector → how real the pair is, and where the picture lies among captions."""

    def __init__(self, image_shape: tuple[int, int, int], options: CaptionGanOptions) -> None:
        """Args: image_shape: (height, width, channels); options: sizes."""
        super().__init__()
        self.body = Discriminator(image_shape, 0, options.networks)
        size = self.body.out.in_features
        self.match = nn.Linear(options.caption_size, size)
        self.place = nn.Linear(size, options.caption_size)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(B, size) features, (B,) realness of the picture alone, (B, caption_size) its place, of length 1."""
        features = self.body.features(x)
        alone = self.body.out(features)[:, 0].float()
        return features, alone, F.normalize(self.place(features).float(), dim=1)

    def judge(self, features: Tensor, alone: Tensor, captions: Tensor) -> Tensor:
        """(B,) logits of pictures with captions (B, caption_size): the inner product of Miyato and Koyama (2018)."""
        matched = (features * self.match(captions)).sum(dim=1).float() / math.sqrt(features.shape[1])
        logits: Tensor = alone + matched
        return logits


def build_caption_networks(
    image_shape: tuple[int, int, int], options: CaptionGanOptions
) -> tuple[Generator, CaptionDiscriminator, CaptionEncoder]:
    """The three networks; the generator is called with latents and caption vectors side by side."""
    networks = options.networks
    wide = GanOptions(
        channels=networks.channels,
        blocks=networks.blocks,
        patch=networks.patch,
        latent_size=networks.latent_size + options.caption_size,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(networks.seed)
        generator = Generator(image_shape, 0, wide).to(memory_format=torch.channels_last)
        discriminator = CaptionDiscriminator(image_shape, options).to(memory_format=torch.channels_last)
        return generator, discriminator, CaptionEncoder(options.caption_size)
