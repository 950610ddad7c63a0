"""Text → picture: a GAN on the caption, whose discriminator must also tell a wrong caption from the right one.

Matching-aware negatives are Reed et al.'s ("Generative adversarial text to image synthesis", 2016, algorithm 1): a real
picture beside another picture's caption counts as false, or nothing would make the generator read. Here the loss is
relativistic (Huang et al. 2024), so that both a generated picture and a wrong caption have to be less convincing than
*this* real pair; and the discriminator's features must also find their caption among the batch's (Zhang et al. 2021).

The article cites the paper with other authors and describes an autoencoder in it, which is not there.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from aigc.generate.caption_gan_options import CaptionGanOptions
from aigc.generate.captions import CaptionEncoder
from aigc.generate.gan import Discriminator, Generator
from aigc.generate.gan_options import GanOptions
from aigc.generate.word_caption_encoder import WordCaptionEncoder

__all__ = ["CaptionDiscriminator", "CaptionGanOptions", "build_caption_networks"]


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
    image_shape: tuple[int, int, int], options: CaptionGanOptions, feature_size: int = 0
) -> tuple[Generator, CaptionDiscriminator, CaptionEncoder]:
    """The three networks; the generator is called with latents and caption vectors side by side.

    Args:
        image_shape: (height, width, channels).
        options: Sizes, and the seed of the weights.
        feature_size: Of the words' vectors that the encoder reads beside the pieces; 0 for pieces alone.
    """
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
        size = options.caption_size
        return (
            generator,
            discriminator,
            WordCaptionEncoder(size, feature_size) if feature_size else CaptionEncoder(size),
        )
