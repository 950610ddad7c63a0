"""What may be chosen about a GAN, and the recipes that have a name."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from aigc.errors import InvalidInputError

__all__ = ["ARCHITECTURES", "LOSSES", "RECIPES", "GanOptions"]

ARCHITECTURES = ("residual", "article")
LOSSES = ("relativistic", "minimax", "non-saturating", "wgan-gp")
RECIPES = ("default", "article", "non-saturating", "wgan-gp", "unrolled", "packed")


@dataclass(frozen=True, slots=True)
class GanOptions:
    """Choices with a meaning; others are refused by name.

    Attributes:
        architecture: ``residual``: convolutional, for any even-sided picture; ``article``: the article's MLP.
        loss: ``relativistic`` (paired: Jolicoeur-Martineau 2019, Huang et al. 2024), ``minimax`` (Goodfellow et al.
            2014, equation 1), ``non-saturating`` (the same, section 3), ``wgan-gp`` (Gulrajani et al. 2017).
        penalty: γ of the gradient penalties: R1 and R2 (λ of the one penalty for ``wgan-gp``); 0 for none.
        penalty_every: The penalties are taken in every so manieth step, with so many times the weight (Karras et al.
            2020): they cost more than the rest of the step.
        critic_steps: Discriminator steps before each generator step.
        unroll_steps: The generator looks so many discriminator steps ahead (Metz et al. 2017); 0 for none.
        pack: The discriminator judges so many pictures at once (Lin et al. 2018); 1 for one.
        conditional: On the class, where the pictures have labels.
        latent_size: Numbers a picture is made from.
        channels: Of each stage from the lowest resolution to the highest, each twice the last one's side.
        blocks: Residual blocks a stage.
        patch: The highest stage works on patches of so many pixels a side: 2 costs a quarter of 1.
        batch_size: Pictures a step.
        learning_rate: Of both Adams at its peak.
        beta1: Adam's first momentum.
        beta2: Adam's second.
        seed: Of the first weights.
    """

    architecture: str = "residual"
    loss: str = "relativistic"
    penalty: float = 0.2
    penalty_every: int = 4
    critic_steps: int = 1
    unroll_steps: int = 0
    pack: int = 1
    conditional: bool = True
    latent_size: int = 64
    channels: tuple[int, ...] = (96, 48)
    blocks: int = 1
    patch: int = 2
    batch_size: int = 32
    learning_rate: float = 5e-4
    beta1: float = 0.0
    beta2: float = 0.99
    seed: int = 0

    def __post_init__(self) -> None:
        for field, known in (("architecture", ARCHITECTURES), ("loss", LOSSES)):
            if getattr(self, field) not in known:
                raise InvalidInputError(f"{field} is {getattr(self, field)!r}: take one of {known}", field=field)
        for field, least in _LEAST.items():
            value = getattr(self, field)
            if not math.isfinite(value) or value < least:
                raise InvalidInputError(f"{field} is {value}: take a number from {least}", field=field)
        for field in ("beta1", "beta2"):
            if not 0 <= getattr(self, field) < 1:
                raise InvalidInputError(f"{field} is {getattr(self, field)}: take one in [0, 1)", field=field)
        if not self.channels or any(c < 16 or c % 16 for c in self.channels):
            raise InvalidInputError(f"channels are {self.channels}: take multiples of 16", field="channels")
        if self.batch_size % self.pack:
            raise InvalidInputError(
                f"a batch of {self.batch_size} does not divide into packs of {self.pack}", field="pack"
            )

    @classmethod
    def named(cls, recipe: str) -> GanOptions:
        """The options behind a name of :data:`RECIPES`.

        Raises:
            InvalidInputError: There is no such recipe.
        """
        if recipe not in RECIPES:
            raise InvalidInputError(f"recipe is {recipe!r}: take one of {RECIPES}", field="recipe")
        default = cls()
        return {
            "default": default,
            "article": cls(
                architecture="article",
                loss="minimax",
                penalty=0.0,
                conditional=False,
                latent_size=100,
                batch_size=128,
                learning_rate=1e-3,
                beta1=0.9,
                beta2=0.999,
            ),
            "non-saturating": replace(default, loss="non-saturating"),
            "wgan-gp": replace(default, loss="wgan-gp", penalty=10.0, penalty_every=1, critic_steps=3, beta2=0.9),
            "unrolled": replace(default, loss="non-saturating", unroll_steps=3),
            "packed": replace(default, pack=2),
        }[recipe]


_LEAST = {
    "penalty": 0,
    "penalty_every": 1,
    "critic_steps": 1,
    "unroll_steps": 0,
    "pack": 1,
    "latent_size": 1,
    "blocks": 1,
    "patch": 1,
    "batch_size": 2,
    "learning_rate": 0,
    "seed": 0,
}
