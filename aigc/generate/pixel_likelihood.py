"""How likely a pixel is, given what a decoder says of it: the three decoders' last steps."""

from __future__ import annotations

import math
from abc import abstractmethod

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from aigc.errors import InvalidInputError

__all__ = ["BernoulliPixels", "GaussianPixels", "LogisticPixels", "PixelLikelihood", "build_likelihood"]

_HALF_STEP = 1 / 255
_LOWEST_LOG_SCALE = -7.0
_HIGHEST_LOG_SCALE = 3.0


class PixelLikelihood(nn.Module):
    """What the three share.

    Attributes:
        parameters_per_value: Numbers that the decoder gives for each value of a picture.
    """

    parameters_per_value = 1

    @abstractmethod
    def log_prob(self, parameters: Tensor, x: Tensor) -> Tensor:
        """(B,) float32: log p(x), summed over all values.

        Args:
            parameters: (B, C · parameters_per_value, H, W) float32.
            x: (B, C, H, W) float32 in [-1, 1].
        """

    @abstractmethod
    def mean(self, parameters: Tensor) -> Tensor:
        """(B, C, H, W) float32 in [-1, 1]: the picture that is shown."""


class BernoulliPixels(PixelLikelihood):
    """A value is 1 with the probability sigmoid(parameter), else -1.

    Between the two it counts as so much of each: the expectation over binarised pictures, no log-probability.
    """

    def log_prob(self, parameters: Tensor, x: Tensor) -> Tensor:
        """See the base class."""
        share = (x + 1) / 2
        return -F.binary_cross_entropy_with_logits(parameters, share, reduction="none").flatten(1).sum(1)

    def mean(self, parameters: Tensor) -> Tensor:
        """See the base class."""
        return 2 * torch.sigmoid(parameters) - 1


class LogisticPixels(PixelLikelihood):
    """A byte whose probability is the mass of a logistic distribution over its step of 1/127.5.

    Salimans et al. 2017 (PixelCNN++), equation 2 with one component: the lowest and the highest step take the tails.
    """

    parameters_per_value = 2

    def log_prob(self, parameters: Tensor, x: Tensor) -> Tensor:
        """See the base class."""
        mean, log_scale = parameters.chunk(2, dim=1)  # (B, C, H, W) each
        inverse = torch.exp(-log_scale.clamp(_LOWEST_LOG_SCALE, _HIGHEST_LOG_SCALE))
        above, below = (x - mean + _HALF_STEP) * inverse, (x - mean - _HALF_STEP) * inverse
        # log(σ(a) - σ(b)) = log σ(a) + log σ(-b) + log(1 - e^(b - a)): exact far from the mean too, where σ is 0 or 1.
        middle = F.logsigmoid(above) + F.logsigmoid(-below) + torch.log(-torch.expm1(below - above))
        inner = torch.where(x > 1 - _HALF_STEP, F.logsigmoid(-below), middle)
        return torch.where(x < -1 + _HALF_STEP, F.logsigmoid(above), inner).flatten(1).sum(1)

    def mean(self, parameters: Tensor) -> Tensor:
        """See the base class."""
        return parameters.chunk(2, dim=1)[0].clamp(-1, 1)


class GaussianPixels(PixelLikelihood):
    """A density about the mean, with one learned spread a channel (σ-VAE, Rybkin et al. 2021)."""

    def __init__(self, channels: int) -> None:
        """Args: channels: of the picture."""
        super().__init__()
        self.log_deviation = nn.Parameter(torch.full((channels, 1, 1), -1.0))

    def log_prob(self, parameters: Tensor, x: Tensor) -> Tensor:
        """See the base class."""
        log_deviation = self.log_deviation.clamp(_LOWEST_LOG_SCALE, _HIGHEST_LOG_SCALE)
        scaled = (x - parameters) * torch.exp(-log_deviation)
        return -(0.5 * scaled**2 + log_deviation + 0.5 * math.log(2 * math.pi)).flatten(1).sum(1)

    def mean(self, parameters: Tensor) -> Tensor:
        """See the base class."""
        return parameters.clamp(-1, 1)


def build_likelihood(name: str, channels: int) -> PixelLikelihood:
    """The likelihood of a name of :data:`aigc.generate.vae_options.LIKELIHOODS`.

    Raises:
        InvalidInputError: A Bernoulli decoder for colour.
    """
    if name == "bernoulli":
        if channels != 1:
            raise InvalidInputError(
                f"the likelihood is 'bernoulli' and the pictures have {channels} channels: take 'logistic'",
                field="likelihood",
            )
        return BernoulliPixels()
    return LogisticPixels() if name == "logistic" else GaussianPixels(channels)
