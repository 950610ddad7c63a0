"""A VAE of pictures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from aigc.generate.base import ImageData
from aigc.generate.vae_options import VaeOptions
from aigc.training.data import TrainingData
from aigc.training.data_options import ImageDataOptions
from aigc.training.options import TrainerOptions
from aigc.training.recipe import RunOptions, changed_options

if TYPE_CHECKING:
    from torch import nn

    from aigc.generate.base import Generator
    from aigc.generate.task import Task

__all__ = ["VaeRecipe"]


# A thousand or two coloured pictures: what is learned by heart is of no use in drawing others.
_FEW = VaeOptions(
    likelihood="logistic",
    prior="normal",
    latent_size=64,
    channels=(32, 64, 96),
    blocks=(1, 1, 1),
    batch_size=64,
    warmup_steps=500,
    weight_decay=0.05,
    learning_rate=1e-3,
)


class VaeRecipe:
    """See :class:`aigc.training.recipe.Recipe`."""

    kind = "vae"
    description = (
        "Pictures by a variational autoencoder, which also tells real pictures by latents: reconstruct, interpolate, "
        "find what is alike. Without vae.likelihood, coloured pictures get the logistic one; where there are few of "
        "them, vae.preset=few learns less by heart."
    )
    data = "images"
    captions = False
    goes_on = True
    presets: Mapping[str, Mapping[str, Any]] = {"vae": {"default": VaeOptions(), "few": _FEW}}

    @property
    def groups(self) -> Mapping[str, Any]:
        """See :class:`aigc.training.recipe.Recipe`."""
        return {
            "vae": VaeOptions(),
            "data": ImageDataOptions(),
            "trainer": TrainerOptions(
                steps=12_000,
                log_every=50,
                validate_every=1000,
                checkpoint_every=500,
                warmup_steps=200,
                average_decay=0.998,
                clip_norm=200.0,
            ),
        }

    def base(self, options: RunOptions) -> str:
        """None."""
        del options
        return ""

    def task(self, data: TrainingData, options: RunOptions, base: Generator | None) -> Task:
        """See :class:`aigc.training.recipe.Recipe`."""
        from aigc.generate.vae_generator import VaeGenerator
        from aigc.generate.vae_task import VaeTask

        assert isinstance(data.train, ImageData)
        assert isinstance(data.held_out, ImageData)
        chosen = replace(options.groups["vae"], seed=options.trainer.seed)
        if isinstance(base, VaeGenerator):
            chosen = replace(changed_options(base.options, options, "vae"), seed=options.trainer.seed)
        elif data.train.pixels.shape[3] > 1 and not options.given & {"vae.likelihood", "vae.preset"}:
            chosen = replace(chosen, likelihood="logistic")
        return VaeTask(data.train, data.held_out, chosen)

    def generator(self, task: Task, modules: Mapping[str, nn.Module]) -> Generator:
        """See :class:`aigc.training.recipe.Recipe`."""
        from aigc.generate.vae_generator import VaeGenerator
        from aigc.generate.vae_task import VaeTask

        assert isinstance(task, VaeTask)
        return VaeGenerator.from_task(task, modules)
