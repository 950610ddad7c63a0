"""What may be chosen about a VAE, and the recipes that have a name."""

from __future__ import annotations

import math
from dataclasses import dataclass

from aigc.errors import InvalidInputError

__all__ = ["BINARISATIONS", "LIKELIHOODS", "PRIORS", "VaeOptions"]

LIKELIHOODS = ("bernoulli", "logistic", "gaussian")
BINARISATIONS = ("anew", "once", "grey")
PRIORS = ("normal", "mixture")


@dataclass(frozen=True, slots=True)
class VaeOptions:
    """Choices with a meaning; others are refused by name.

    Attributes:
        likelihood: Of a pixel: ``bernoulli`` for pictures of one channel; ``logistic``, discretised to the 256 steps of
            a byte (Salimans et al. 2017, equation 2, one component), or ``gaussian`` for any.
        binarise: What a Bernoulli decoder learns from: pixels compared with uniform noise drawn ``anew`` in each step,
            drawn ``once`` for the whole run, or the ``grey`` value as the target (then the loss is no likelihood).
        prior: Over the latents: ``normal``, N(0, I), or ``mixture``: diagonal Gaussians learned together with the rest
            (the "MoG" of Tomczak and Welling 2018).
        components: Of the mixture.
        latent_size: Numbers a picture is told by.
        channels: Of each resolution from the highest to the lowest, each half the last one's side.
        blocks: Residual blocks of each resolution.
        hidden: Width of the layer between the lowest resolution and the latents.
        patch: The highest resolution works on patches of so many pixels a side.
        conditional: On the class, where the content has labels; otherwise only the prior knows the class.
        beta: Weight of the KL divergence (Higgins et al. 2017); 1 makes the loss the negative ELBO.
        warmup_steps: Over which that weight rises from 0 (Bowman et al. 2016; Sønderby et al. 2016).
        free_bits: Nats of KL a latent that cost nothing (Kingma et al. 2016); only with the ``normal`` prior, whose KL
            divides among the latents.
        importance_samples: k of the importance-weighted bound (Burda et al. 2016); 1 for the ELBO.
        importance_from: Step from which k counts; before it k is 1.
        batch_size: Contents a step.
        learning_rate: Of the one AdamW at its peak.
        weight_decay: Of the same.
        seed: Of the first weights, and of what is drawn once.
    """

    likelihood: str = "bernoulli"
    binarise: str = "anew"
    prior: str = "mixture"
    components: int = 500
    latent_size: int = 40
    channels: tuple[int, ...] = (32, 64)
    blocks: tuple[int, ...] = (1, 1)
    hidden: int = 256
    patch: int = 2
    conditional: bool = False
    beta: float = 1.0
    warmup_steps: int = 0
    free_bits: float = 0.0
    importance_samples: int = 1
    importance_from: int = 0
    batch_size: int = 128
    learning_rate: float = 2e-3
    weight_decay: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        for field, known in (("likelihood", LIKELIHOODS), ("binarise", BINARISATIONS), ("prior", PRIORS)):
            if getattr(self, field) not in known:
                raise InvalidInputError(f"{field} is {getattr(self, field)!r}: take one of {known}", field=field)
        for field, least in _LEAST.items():
            value = getattr(self, field)
            if not math.isfinite(value) or value < least:
                raise InvalidInputError(f"{field} is {value}: take a number from {least}", field=field)
        if self.learning_rate == 0:
            raise InvalidInputError(
                "learning_rate is 0: nothing would be learned; take one above 0", field="learning_rate"
            )
        if not self.channels or any(c < 8 or c % 8 for c in self.channels):
            raise InvalidInputError(f"channels are {self.channels}: take multiples of 8", field="channels")
        if len(self.blocks) != len(self.channels) or any(b < 0 for b in self.blocks):
            raise InvalidInputError(
                f"blocks are {self.blocks}: take one number from 0 for each of the {len(self.channels)} channels",
                field="blocks",
            )
        if self.free_bits and self.prior != "normal":
            raise InvalidInputError(
                f"free_bits is {self.free_bits} with the prior {self.prior!r}, whose KL does not divide among the "
                "latents: take 0, or the prior 'normal'",
                field="free_bits",
            )
        if self.free_bits and self.importance_samples > 1:
            raise InvalidInputError(
                f"free_bits is {self.free_bits} with {self.importance_samples} importance samples, whose bound has no "
                "KL term: take 0, or importance_samples 1",
                field="free_bits",
            )


_LEAST = {
    "components": 1,
    "latent_size": 1,
    "hidden": 1,
    "patch": 1,
    "beta": 0,
    "warmup_steps": 0,
    "free_bits": 0,
    "importance_samples": 1,
    "importance_from": 0,
    "batch_size": 1,
    "learning_rate": 0,
    "weight_decay": 0,
    "seed": 0,
}
