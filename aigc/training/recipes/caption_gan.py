"""A GAN that draws what a caption says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from aigc.generate.base import ImageData
from aigc.generate.caption_gan_options import CaptionGanOptions
from aigc.training.data import TrainingData
from aigc.training.data_options import ImageDataOptions
from aigc.training.options import TrainerOptions
from aigc.training.recipe import RunOptions

if TYPE_CHECKING:
    from torch import nn

    from aigc.generate.base import Generator
    from aigc.generate.task import Task

__all__ = ["CaptionGanRecipe"]


class CaptionGanRecipe:
    """See :class:`aigc.training.recipe.Recipe`."""

    kind = "caption-gan"
    description = (
        "Pictures of a caption in Chinese or English, by a GAN whose discriminator also tells wrong captions from "
        "right ones. Captions are the items' titles (their parts between ' · ' are several captions) and tags."
    )
    data = "images"
    captions = True
    goes_on = False
    presets: Mapping[str, Mapping[str, Any]] = {}

    @property
    def groups(self) -> Mapping[str, Any]:
        """See :class:`aigc.training.recipe.Recipe`."""
        return {
            "caption": CaptionGanOptions(),
            "data": ImageDataOptions(labels=False),
            "trainer": TrainerOptions(
                steps=10_000, log_every=50, validate_every=1000, checkpoint_every=500, collapse_below=0.1
            ),
        }

    def base(self, options: RunOptions) -> str:
        """None."""
        del options
        return ""

    def task(self, data: TrainingData, options: RunOptions, base: Generator | None) -> Task:
        """See :class:`aigc.training.recipe.Recipe`."""
        from aigc.generate.caption_gan_task import CaptionGanTask

        del base
        assert isinstance(data.train, ImageData)
        assert isinstance(data.held_out, ImageData)
        chosen: CaptionGanOptions = options.groups["caption"]
        seeded = replace(chosen, networks=replace(chosen.networks, seed=options.trainer.seed))
        return CaptionGanTask(data.train, data.held_out, seeded)

    def generator(self, task: Task, modules: Mapping[str, nn.Module]) -> Generator:
        """See :class:`aigc.training.recipe.Recipe`."""
        from aigc.generate.caption_gan_generator import CaptionGanGenerator
        from aigc.generate.caption_gan_task import CaptionGanTask

        assert isinstance(task, CaptionGanTask)
        return CaptionGanGenerator.from_task(task, modules)
