"""A VAE of recordings: one of pictures (:mod:`aigc.generate.vae`), whose pictures are log-mel spectra."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from aigc.errors import AigcError, CorruptDataError, InvalidInputError
from aigc.generate.audio_vae_options import AudioVaeOptions
from aigc.generate.base import AudioRequest, GeneratedSound, ImageData, ImageRequest, SoundData
from aigc.generate.mel_options import MelOptions
from aigc.generate.mel_pictures import picture_of, sound_of
from aigc.generate.model_folder import read_config, read_tensors, write_model
from aigc.generate.task import StepContext
from aigc.generate.vae_generator import VaeGenerator
from aigc.generate.vae_task import VaeTask

__all__ = ["AudioVaeGenerator", "AudioVaeOptions", "AudioVaeTask"]

_FORMAT = 1
_SHIFT_FRAMES, _SHIFT_BANDS = 6, 2


class AudioVaeTask(VaeTask):
    """A :class:`aigc.generate.vae_task.VaeTask` of spectra."""

    def __init__(self, train: SoundData, held_out: SoundData, options: AudioVaeOptions) -> None:
        """Args: train: to learn from; held_out: to measure on; options: the recipe.

        Raises:
            InvalidInputError: No recordings, labels of another number, or sides that the networks cannot halve.
        """
        for name, data in (("train", train), ("held_out", held_out)):
            if not len(data.samples):
                raise InvalidInputError(f"{name} has no recordings", field=name)
        super().__init__(_pictures(train, options.mel), _pictures(held_out, options.mel), options.network)
        self.audio_options = options

    @property
    def name(self) -> str:
        """What is trained."""
        return "audio-vae"

    def batch(self, rows: Tensor, context: StepContext) -> Tensor:
        """(B, C, H, W) in [-1, 1]; shifted, each picture by its own numbers, what comes in from the edge repeated."""
        x = super().batch(rows, context)
        if not self.audio_options.augment:
            return x
        shifts = context.uniform(self.options.batch_size, 2, stream=2)
        height, width = x.shape[2:]
        down = torch.round((2 * shifts[:, :1] - 1) * _SHIFT_BANDS).long()  # (B, 1)
        right = torch.round(shifts[:, 1:] * _SHIFT_FRAMES).long()
        at_row = (torch.arange(height, device=x.device) - down).clamp(0, height - 1)  # (B, H)
        at_column = (torch.arange(width, device=x.device) - right).clamp(0, width - 1)  # (B, W)
        x = x.gather(2, at_row[:, None, :, None].expand_as(x))
        return x.gather(3, at_column[:, None, None, :].expand_as(x))


class AudioVaeGenerator:
    """An :class:`aigc.generate.base.AudioGenerator`, and latents of recordings."""

    kind = "audio-vae"

    def __init__(self, options: AudioVaeOptions, pictures: VaeGenerator) -> None:
        """Args: options: of the task; pictures: the generator of spectra."""
        self.options, self.pictures = options, pictures
        self.classes, self.latent_size, self.rate = pictures.classes, pictures.latent_size, options.mel.rate

    @classmethod
    def from_task(
        cls, task: AudioVaeTask, modules: Mapping[str, nn.Module], *, stage: str = "", components: int = 3
    ) -> AudioVaeGenerator:
        """The trained network of a task; see :meth:`aigc.generate.vae_generator.VaeGenerator.from_task`."""
        return cls(task.audio_options, VaeGenerator.from_task(task, modules, stage=stage, components=components))

    @property
    def compression(self) -> str:
        """See :class:`aigc.generate.compression.Compressible`."""
        return self.pictures.compression

    def with_compression(self, method: str) -> AudioVaeGenerator:
        """See :class:`aigc.generate.compression.Compressible`."""
        return AudioVaeGenerator(self.options, self.pictures.with_compression(method))

    @property
    def described(self) -> Mapping[str, object]:
        """Sizes and classes."""
        longest_ms = 1000 * self.options.mel.hop * (self.options.mel.frames - 1) // self.rate
        return {**self.pictures.described, "rate": self.rate, "longest_ms": longest_ms}

    def generate(self, request: AudioRequest) -> list[GeneratedSound]:
        """One recording a seed; the seed also draws the first phases."""
        made = self.pictures.generate(
            ImageRequest(request.seeds, request.classes, truncation=request.truncation, latents=request.latents)
        )
        return [
            GeneratedSound(
                sound_of(m.pixels, self.options.mel, m.seed), self.rate, m.seed, m.label, m.latent, m.quality
            )
            for m in made
        ]

    def encode(self, recordings: SoundData) -> NDArray[np.float32]:
        """(n, latent_size) float32 posterior means; a conditional model needs the labels."""
        data = _pictures(recordings, self.options.mel)
        return self.pictures.encode(data.pixels, _names(data))

    def decode(
        self, latents: NDArray[np.float32], classes: Sequence[str] = (), seed: int = 0
    ) -> list[NDArray[np.float32]]:
        """A recording each, (length,) float32 at :attr:`rate`."""
        return [sound_of(p, self.options.mel, seed) for p in self.pictures.decode(latents, classes)]

    def save(self, folder: Path) -> None:
        """Write ``config.json`` and ``model.safetensors``."""
        write_model(
            folder,
            self.kind,
            _FORMAT,
            self.pictures.config() | {"audio": asdict(self.options)},
            self.pictures.tensors(),
        )

    @classmethod
    def load(cls, folder: Path, device: torch.device | None = None) -> AudioVaeGenerator:
        """What :meth:`save` wrote; CorruptDataError names what is missing, broken or newer."""
        config = read_config(folder, cls.kind, _FORMAT)
        pictures = VaeGenerator.from_parts(config, read_tensors(folder), folder, device)
        try:
            raw = config["audio"]
            options = AudioVaeOptions(MelOptions(**raw["mel"]), pictures.options, bool(raw["augment"]))
            if pictures.image_shape != (options.mel.bands, options.mel.frames, 1):
                raise ValueError(f"pictures of {pictures.image_shape}")
        except (KeyError, TypeError, ValueError, AigcError) as error:
            raise CorruptDataError(
                f"{folder / 'config.json'} describes no VAE of recordings ({error}); train it again",
                reason="MODEL_CORRUPT",
            ) from error
        return cls(options, pictures)


def _pictures(data: SoundData, options: MelOptions) -> ImageData:
    pixels = np.stack([picture_of(s, data.rate, options) for s in data.samples])
    return ImageData(pixels, data.labels, data.classes)


def _names(data: ImageData) -> list[str]:
    return [data.classes[row] for row in data.labels]
