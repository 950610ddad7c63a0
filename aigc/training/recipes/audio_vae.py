"""A VAE of recordings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from aigc.generate.audio_vae_options import AudioVaeOptions
from aigc.generate.base import SoundData
from aigc.training.data import TrainingData
from aigc.training.data_options import SoundDataOptions
from aigc.training.options import TrainerOptions
from aigc.training.recipe import RunOptions

if TYPE_CHECKING:
    from torch import nn

    from aigc.generate.base import Generator
    from aigc.generate.task import Task

__all__ = ["AudioVaeRecipe"]


class AudioVaeRecipe:
    """See :class:`aigc.training.recipe.Recipe`."""

    kind = "audio-vae"
    description = (
        "Short recordings by a variational autoencoder of their log-mel spectra, made audible by Griffin and Lim's "
        "iteration; of a class each, where the recordings have categories (data.name_pattern finds them in file names)."
    )
    data = "recordings"
    captions = False
    goes_on = False
    presets: Mapping[str, Mapping[str, Any]] = {}

    @property
    def groups(self) -> Mapping[str, Any]:
        """See :class:`aigc.training.recipe.Recipe`."""
        return {
            "audio": AudioVaeOptions(),
            "data": SoundDataOptions(),
            "trainer": TrainerOptions(
                steps=3000,
                log_every=50,
                validate_every=500,
                checkpoint_every=250,
                warmup_steps=100,
                average_decay=0.998,
                clip_norm=1000.0,
            ),
        }

    def base(self, options: RunOptions) -> str:
        """None."""
        del options
        return ""

    def task(self, data: TrainingData, options: RunOptions, base: Generator | None) -> Task:
        """See :class:`aigc.training.recipe.Recipe`."""
        from aigc.generate.audio_vae import AudioVaeTask

        del base
        assert isinstance(data.train, SoundData)
        assert isinstance(data.held_out, SoundData)
        chosen: AudioVaeOptions = options.groups["audio"]
        seeded = replace(chosen, network=replace(chosen.network, seed=options.trainer.seed))
        return AudioVaeTask(data.train, data.held_out, seeded)

    def generator(self, task: Task, modules: Mapping[str, nn.Module]) -> Generator:
        """See :class:`aigc.training.recipe.Recipe`."""
        from aigc.generate.audio_vae import AudioVaeGenerator, AudioVaeTask

        assert isinstance(task, AudioVaeTask)
        return AudioVaeGenerator.from_task(task, modules)
