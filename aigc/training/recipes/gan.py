"""A GAN of pictures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from aigc.generate.base import ImageData
from aigc.generate.gan_options import RECIPES, GanOptions
from aigc.training.data import TrainingData
from aigc.training.data_options import ImageDataOptions
from aigc.training.options import TrainerOptions
from aigc.training.recipe import RunOptions, changed_options

if TYPE_CHECKING:
    from torch import nn

    from aigc.generate.base import Generator
    from aigc.generate.task import Task

__all__ = ["GanRecipe"]


class GanRecipe:
    """See :class:`aigc.training.recipe.Recipe`."""

    kind = "gan"
    description = (
        "Pictures by a generative adversarial network: convolutional, relativistic paired loss with R1 and R2 "
        "penalties; of a class each, where the pictures have categories. The article's own network and other losses "
        "are presets."
    )
    data = "images"
    captions = False
    goes_on = True
    presets: Mapping[str, Mapping[str, Any]] = {"gan": {name: GanOptions.named(name) for name in RECIPES}}

    @property
    def groups(self) -> Mapping[str, Any]:
        """See :class:`aigc.training.recipe.Recipe`."""
        return {
            "gan": GanOptions(),
            "data": ImageDataOptions(),
            "trainer": TrainerOptions(steps=9000, log_every=50, validate_every=1000, checkpoint_every=500),
        }

    def base(self, options: RunOptions) -> str:
        """None."""
        del options
        return ""

    def task(self, data: TrainingData, options: RunOptions, base: Generator | None) -> Task:
        """See :class:`aigc.training.recipe.Recipe`."""
        from aigc.generate.gan_generator import GanGenerator
        from aigc.generate.gan_task import GanTask

        assert isinstance(data.train, ImageData)
        assert isinstance(data.held_out, ImageData)
        chosen = options.groups["gan"]
        if isinstance(base, GanGenerator):
            chosen = changed_options(base.options, options, "gan")
        return GanTask(data.train, data.held_out, replace(chosen, seed=options.trainer.seed))

    def generator(self, task: Task, modules: Mapping[str, nn.Module]) -> Generator:
        """See :class:`aigc.training.recipe.Recipe`."""
        from aigc.generate.gan_generator import GanGenerator
        from aigc.generate.gan_task import GanTask

        assert isinstance(task, GanTask)
        return GanGenerator.from_task(task, modules)
