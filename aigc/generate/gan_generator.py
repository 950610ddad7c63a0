"""A trained GAN, ready to make pictures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from aigc.errors import AigcError, CorruptDataError, InvalidInputError
from aigc.generate.base import GeneratedImage, ImageData, ImageRequest
from aigc.generate.compression import compressed, compressed_shell, computing
from aigc.generate.gan import build_networks
from aigc.generate.gan_options import GanOptions
from aigc.generate.gan_task import GanTask
from aigc.generate.latents import chosen_classes, draw_latents
from aigc.generate.model_folder import fill_module, read_config, read_tensors, write_model
from aigc.generate.pictures import to_pixels, to_tensor

__all__ = ["GanGenerator"]

_FORMAT = 1
_QUANTILES = 256
# Batches are padded to this: the same kernels run, whatever the number of rows, so a row's bytes stay the same.
_CHUNK = 16


class GanGenerator:
    """An :class:`aigc.generate.base.ImageGenerator`."""

    kind = "gan"

    def __init__(
        self,
        options: GanOptions,
        image_shape: tuple[int, int, int],
        classes: tuple[str, ...],
        generator: nn.Module,
        discriminator: nn.Module,
        reference: Tensor,
        compression: str = "",
    ) -> None:
        """Args: reference: (rows, 256) ascending scores of held-out real pictures, a row a class or one for all."""
        self.options, self.image_shape, self.classes = options, image_shape, classes
        self.latent_size = options.latent_size
        self.generator = generator.eval().requires_grad_(False)
        self.discriminator = discriminator.eval().requires_grad_(False)
        self._reference, self.compression = reference, compression

    @classmethod
    def from_task(cls, task: GanTask, modules: Mapping[str, nn.Module]) -> GanGenerator:
        """The trained networks of a task.

        Args:
            task: Trained.
            modules: The averaged modules by name; those that are not there are the task's own.
        """
        generator = modules.get("generator", task.generator)
        discriminator = modules.get("discriminator", task.discriminator)
        made = cls(task.options, task.image_shape, task.classes, generator, discriminator, torch.zeros(1, _QUANTILES))
        made._reference = made._calibrated(task.held_out)
        return made

    @property
    def described(self) -> Mapping[str, object]:
        """Sizes and classes."""
        return {
            "architecture": self.options.architecture,
            "loss": self.options.loss,
            "classes": self.classes,
            "image_shape": self.image_shape,
            "latent_size": self.latent_size,
            "parameters": sum(p.numel() for p in self.generator.parameters()),
        }

    def with_compression(self, method: str) -> GanGenerator:
        """See :class:`aigc.generate.compression.Compressible`.

        The generator's networks alone: the discriminator's scores stay comparable with those of real pictures.
        """
        if self.compression:
            raise InvalidInputError(f"the model is compressed already ({self.compression})", field="generator")
        generator = compressed(self.generator, method)
        return GanGenerator(
            self.options, self.image_shape, self.classes, generator, self.discriminator, self._reference, method
        )

    def generate(self, request: ImageRequest) -> list[GeneratedImage]:
        """One picture a seed; see :class:`aigc.generate.base.ImageGenerator`.

        ψ scales latents that are handed in as it does drawn ones; the latent that comes back is the scaled one, so
        that with ψ = 1 it makes the same picture again.
        """
        latents = draw_latents(request, self.latent_size)
        rows = chosen_classes(request, self.classes)
        made: list[GeneratedImage] = []
        for start in range(0, len(latents), _CHUNK):
            part = slice(start, start + _CHUNK)
            pixels, scores = self._run(latents[part], rows[part])
            for i, score in enumerate(scores):
                row = int(rows[start + i])
                made.append(
                    GeneratedImage(
                        pixels=pixels[i],
                        seed=request.seeds[start + i],
                        label=self.classes[row] if self.classes else "",
                        latent=latents[start + i],
                        quality=self._rank(score, row),
                    )
                )
        return made

    def save(self, folder: Path) -> None:
        """Write ``config.json`` and ``model.safetensors``."""
        options = asdict(self.options)
        tensors = {"reference": self._reference}
        for name, module in (("generator", self.generator), ("discriminator", self.discriminator)):
            tensors |= {f"{name}.{key}": value for key, value in module.state_dict().items()}
        config = {
            "options": options,
            "image_shape": self.image_shape,
            "classes": self.classes,
            "compression": self.compression,
        }
        write_model(folder, self.kind, _FORMAT, config, tensors)

    @classmethod
    def load(cls, folder: Path, device: torch.device | None = None) -> GanGenerator:
        """What :meth:`save` wrote; CorruptDataError names what is missing, broken or newer."""
        config = read_config(folder, cls.kind, _FORMAT)
        try:
            raw = dict(config["options"])
            options = GanOptions(**{**raw, "channels": tuple(raw["channels"])})
            height, width, channels = (int(v) for v in config["image_shape"])
            classes = tuple(str(c) for c in config["classes"])
            compression = str(config.get("compression", ""))
            pair = build_networks(options, (height, width, channels), len(classes))
            compressed_shell(pair[0], compression)
        except (KeyError, TypeError, ValueError, AigcError) as error:
            raise CorruptDataError(
                f"{folder / 'config.json'} describes no GAN ({error}); train it again", reason="MODEL_CORRUPT"
            ) from error
        tensors = read_tensors(folder)
        for name, module in zip(("generator", "discriminator"), pair, strict=True):
            fill_module(module, tensors, name, folder)
            module.to(device or "cpu")
        reference = tensors.get("reference")
        if reference is None or reference.shape != (max(1, len(classes)), _QUANTILES):
            raise CorruptDataError(
                f"{folder / 'model.safetensors'} lacks the scores of real pictures; train it again",
                reason="MODEL_CORRUPT",
            )
        return cls(options, (height, width, channels), classes, *pair, reference, compression)

    def _run(self, latents: NDArray[np.float32], rows: NDArray[np.int64]) -> tuple[NDArray[np.uint8], list[float]]:
        """(n, height, width, channels) uint8 and n scores, for n up to a chunk."""
        count, device = len(latents), next(self.generator.parameters()).device
        z, labels = torch.zeros(_CHUNK, self.latent_size), torch.zeros(_CHUNK, dtype=torch.int64)
        z[:count], labels[:count] = torch.from_numpy(latents), torch.from_numpy(rows)
        with torch.inference_mode(), computing(self.compression, device):
            pictures = self.generator(z.to(device), labels.to(device))
        pixels = to_pixels(pictures)
        return pixels[:count], self._scores(pixels, labels)[:count]

    def _scores(self, pixels: NDArray[np.uint8], labels: Tensor) -> list[float]:
        """The discriminator's logits of a chunk of what a viewer would see: whole steps of 0 to 255."""
        device = next(self.discriminator.parameters()).device
        with torch.inference_mode():
            x = to_tensor(pixels).to(device).repeat_interleave(self.options.pack, dim=0)
            logits = self.discriminator(x, labels.to(device).repeat_interleave(self.options.pack))
        return [float(v) for v in logits]

    def _rank(self, score: float, row: int) -> float:
        """Share of held-out real pictures (of the class) that score no higher."""
        reference = self._reference[row].contiguous()
        return float(torch.searchsorted(reference, torch.tensor(score), right=True)) / _QUANTILES

    def _calibrated(self, held_out: ImageData) -> Tensor:
        labelled = bool(self.classes) and len(held_out.labels) == len(held_out.pixels)
        rows = held_out.labels if labelled else np.zeros(len(held_out.pixels), np.int64)
        if self.classes and not labelled:
            rows = np.arange(len(held_out.pixels)) % len(self.classes)
        scores = np.empty(len(rows), np.float64)
        for start in range(0, len(rows), _CHUNK):
            pixels = held_out.pixels[start : start + _CHUNK]
            padded = np.concatenate([pixels, np.repeat(pixels[:1], _CHUNK - len(pixels), axis=0)])
            labels = torch.zeros(_CHUNK, dtype=torch.int64)
            labels[: len(pixels)] = torch.from_numpy(rows[start : start + _CHUNK])
            scores[start : start + _CHUNK] = self._scores(padded, labels)[: len(pixels)]
        steps = (np.arange(_QUANTILES) + 0.5) / _QUANTILES
        reference = [
            np.quantile(scores[rows == row] if (rows == row).any() else scores, steps)
            for row in range(max(1, len(self.classes)))
        ]
        return torch.from_numpy(np.stack(reference).astype(np.float32))
