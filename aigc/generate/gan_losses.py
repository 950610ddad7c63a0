"""The losses of GANs, and the gradient penalties that keep their discriminators smooth."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

__all__ = ["discriminator_loss", "generator_loss", "gradient_penalty", "zero_centred_penalties"]

Critic = Callable[[Tensor], Tensor]


def discriminator_loss(loss: str, real: Tensor, fake: Tensor) -> Tensor:
    """Scalar of logits (B,) each.

    ``relativistic`` asks each real picture to be more real than the generated one beside it: every real picture holds
    its own place in the landscape, which is why modes are not dropped (Sun et al. 2020). ``minimax`` and
    ``non-saturating`` share -log D(x) - log(1 - D(G(z))), in which -log sigmoid(l) = softplus(-l).
    """
    if loss == "relativistic":
        return F.softplus(fake - real).mean()
    if loss == "wgan-gp":
        return fake.mean() - real.mean()
    return F.softplus(-real).mean() + F.softplus(fake).mean()


def generator_loss(loss: str, real: Tensor, fake: Tensor) -> Tensor:
    """Scalar of logits (B,) each; ``real`` counts for ``relativistic`` alone.

    ``minimax`` is log(1 - D(G(z))), to go down: it is flat where the discriminator is sure. ``non-saturating``, which
    the article prints as L_G, is -log D(G(z)): the same fixed point, steep there.
    """
    if loss == "relativistic":
        return F.softplus(real - fake).mean()
    if loss == "wgan-gp":
        return -fake.mean()
    return F.softplus(-fake).mean() if loss == "non-saturating" else -F.softplus(fake).mean()


def zero_centred_penalties(logits: Tensor, pictures: Tensor) -> Tensor:
    """(B,) squared norms ‖∇ₓ D(x)‖²: on real pictures R1 (Mescheder et al. 2018), on generated ones R2.

    Args:
        logits: Computed from ``pictures``, which ask for a gradient.
        pictures: (B, C, H, W).
    """
    (gradient,) = torch.autograd.grad(logits.sum(), pictures, create_graph=True)
    return gradient.float().square().flatten(1).sum(dim=1)


def gradient_penalty(critic: Critic, real: Tensor, fake: Tensor, mix: Tensor) -> Tensor:
    """Scalar E(‖∇D‖ - 1)² between real and generated pictures (Gulrajani et al. 2017, equation 3).

    Args:
        critic: Logits of pictures.
        real: (B, C, H, W).
        fake: (B, C, H, W).
        mix: (B, 1, 1, 1) in [0, 1].
    """
    between = (mix * real + (1 - mix) * fake).requires_grad_()
    norms = zero_centred_penalties(critic(between), between).clamp_min(1e-12).sqrt()
    return (norms - 1).square().mean()
