"""A GAN in training: a discriminator phase, then a generator phase."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.func import functional_call
from torch.optim import Adam, Optimizer

from aigc.errors import InvalidInputError
from aigc.generate.base import ImageData
from aigc.generate.diversity import diversity
from aigc.generate.gan import build_networks
from aigc.generate.gan_losses import discriminator_loss, generator_loss, gradient_penalty, zero_centred_penalties
from aigc.generate.gan_options import GanOptions
from aigc.generate.pictures import draw_sheet, to_pixels, to_tensor
from aigc.generate.task import Phase, StepContext

__all__ = ["GanTask"]

_VALIDATED = 512


class GanTask:
    """See :class:`aigc.generate.task.Task`. Each step pairs generated pictures with real ones of the same classes."""

    def __init__(self, train: ImageData, held_out: ImageData, options: GanOptions) -> None:
        """Args: train: to learn from; held_out: to compare diversity with; options: the recipe.

        Raises:
            InvalidInputError: No pictures, labels of another number, or sides that the networks cannot halve.
        """
        if train.pixels.ndim != 4 or not len(train.pixels) or len(held_out.pixels) < 2:
            raise InvalidInputError(
                f"pictures of shapes {train.pixels.shape} and {held_out.pixels.shape}: (n, height, width, channels) "
                "are needed, and at least two held out",
                field="pixels",
            )
        conditional = options.conditional and options.architecture != "article" and len(train.classes) > 0
        if conditional and len(train.labels) != len(train.pixels):
            raise InvalidInputError(f"{len(train.pixels)} pictures, {len(train.labels)} labels", field="labels")
        self.options, self.train, self.held_out = options, train, held_out
        self.classes = tuple(train.classes) if conditional else ()
        _, height, width, channels = train.pixels.shape
        self.image_shape = (height, width, channels)
        self.generator, self.discriminator = build_networks(options, self.image_shape, len(self.classes))
        labels = train.labels if conditional else np.zeros(len(train.pixels), np.int64)
        self._labels = torch.from_numpy(labels.copy())

    @property
    def name(self) -> str:
        """What is trained."""
        return f"gan ({self.options.architecture}, {self.options.loss})"

    @property
    def modules(self) -> Mapping[str, nn.Module]:
        """Both networks."""
        return {"generator": self.generator, "discriminator": self.discriminator}

    @property
    def averaged(self) -> tuple[str, ...]:
        """The generator: its average is what is kept."""
        return ("generator",)

    def optimizers(self) -> Mapping[str, Optimizer]:
        """An Adam for each."""
        o = self.options
        return {
            name: Adam(module.parameters(), lr=o.learning_rate, betas=(o.beta1, o.beta2))
            for name, module in self.modules.items()
        }

    def phases(self, context: StepContext) -> Iterator[Phase]:
        """``critic_steps`` times "discriminator", then "generator"."""
        o = self.options
        self.discriminator.requires_grad_(True)
        rows = context.rows(len(self.train.pixels), o.batch_size * o.critic_steps).chunk(o.critic_steps)
        for turn, chosen in enumerate(rows):
            real, labels = self._real(chosen, context)
            z = context.normal(o.batch_size, o.latent_size, stream=2 * turn)
            with torch.no_grad():
                fake = self.generator(z, labels)
            yield self._discriminator_phase(context, turn, real, fake, labels)
        z = context.normal(o.batch_size, o.latent_size, stream=1)
        yield self._generator_phase(real, labels, z)

    def _discriminator_phase(
        self, context: StepContext, turn: int, real: Tensor, fake: Tensor, labels: Tensor
    ) -> Phase:
        o = self.options
        penalised = o.penalty > 0 and context.step % o.penalty_every == 0
        both = torch.cat([real, fake])  # (2B, C, H, W)
        if penalised and o.loss != "wgan-gp":
            both.requires_grad_()
        logits = self.discriminator(both, labels.repeat(2))
        on_real, on_fake = logits.chunk(2)
        loss = discriminator_loss(o.loss, on_real, on_fake)
        metrics = {"gap": (on_real.detach() - on_fake.detach()).mean()}
        if penalised:
            if o.loss == "wgan-gp":
                mix = context.uniform(o.batch_size, 1, 1, 1, stream=3 + 2 * turn)
                penalty = gradient_penalty(lambda x: self.discriminator(x, labels), real, fake, mix)
                loss = loss + o.penalty * o.penalty_every * penalty
            else:
                penalty = zero_centred_penalties(logits, both).sum() / len(on_real)  # R1 + R2
                loss = loss + o.penalty / 2 * o.penalty_every * penalty
            metrics["gradient_penalty"] = penalty.detach()
        return Phase("discriminator", loss, metrics)

    def _generator_phase(self, real: Tensor, labels: Tensor, z: Tensor) -> Phase:
        o = self.options
        fake = self.generator(z, labels)
        if o.unroll_steps:
            ahead = self._unrolled(real, fake, labels)
            on_real = functional_call(self.discriminator, ahead, (real, labels))
            on_fake = functional_call(self.discriminator, ahead, (fake, labels))
            return Phase("generator", generator_loss(o.loss, on_real, on_fake))
        self.discriminator.requires_grad_(False)
        on_fake = self.discriminator(fake, labels)
        on_real = on_fake.detach()
        if o.loss == "relativistic":
            with torch.no_grad():
                on_real = self.discriminator(real, labels)
        return Phase("generator", generator_loss(o.loss, on_real, on_fake))

    def _unrolled(self, real: Tensor, fake: Tensor, labels: Tensor) -> dict[str, Tensor]:
        """The discriminator's weights after some more steps, as a function of the generator's (Metz et al. 2017).

        Plain gradient steps: they stand in for Adam's, whose state would have to be differentiated as well.
        """
        weights: dict[str, Tensor] = dict(self.discriminator.named_parameters())
        for _ in range(self.options.unroll_steps):
            on_real = functional_call(self.discriminator, weights, (real, labels))
            on_fake = functional_call(self.discriminator, weights, (fake, labels))
            loss = discriminator_loss(self.options.loss, on_real, on_fake)
            gradients = torch.autograd.grad(loss, list(weights.values()), create_graph=True)
            rate = 10 * self.options.learning_rate
            weights = {n: w - rate * g for (n, w), g in zip(weights.items(), gradients, strict=True)}
        return weights

    def validate(self, modules: Mapping[str, nn.Module]) -> Mapping[str, float]:
        """How varied the pictures are beside held-out ones."""
        made = self._draw(modules["generator"], min(_VALIDATED, len(self.held_out.pixels)), seed=1)
        return {"diversity": diversity(self.held_out.pixels[: len(made)], made)}

    def draw_samples(self, modules: Mapping[str, nn.Module], path: Path) -> Path | None:
        """Ten pictures of each class, or a hundred of any."""
        made = self._draw(modules["generator"], 10 * max(1, min(10, len(self.classes) or 10)), seed=0)
        return draw_sheet(made, path.with_name(path.name + ".png"), columns=10)

    def _draw(self, generator: nn.Module, n: int, seed: int) -> NDArray[np.uint8]:
        device = next(generator.parameters()).device
        z = torch.randn(n, self.options.latent_size, generator=torch.Generator().manual_seed(seed)).to(device)
        if self.classes:
            labels = torch.arange(n, device=device) * len(self.classes) // n
        else:
            labels = torch.zeros(n, dtype=torch.int64, device=device)
        with torch.no_grad():
            return to_pixels(generator(z, labels))

    def _real(self, rows: Tensor, context: StepContext) -> tuple[Tensor, Tensor]:
        return to_tensor(self.train.pixels[rows.numpy()]).to(context.device), self._labels[rows].to(context.device)
