"""A trained VAE, ready to make pictures, to tell them by latents and to show latents as pictures."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from aigc.errors import AigcError, CorruptDataError, InvalidInputError
from aigc.generate.base import GeneratedImage, ImageRequest
from aigc.generate.compression import compressed, compressed_shell
from aigc.generate.latents import chosen_classes, draw_latents
from aigc.generate.model_folder import fill_module, read_config, read_tensors, write_model
from aigc.generate.pictures import to_pixels, to_tensor
from aigc.generate.prior import LatentPrior
from aigc.generate.second_stage import build_prior
from aigc.generate.vae import VaeNetwork, build_vae
from aigc.generate.vae_options import VaeOptions
from aigc.generate.vae_task import VaeTask, normal_divergence, visible

__all__ = ["VaeGenerator"]

_FORMAT = 1
_QUANTILES = 256
_CALIBRATED_ON = 5000
# Batches are padded to this: the same kernels run, whatever the number of rows, so a row's bytes stay the same.
_CHUNK = 16
_HALF_LOG_2_PI_E = 0.5 * float(np.log(2 * np.pi * np.e))


class VaeGenerator:
    """An :class:`aigc.generate.base.ImageGenerator` and a :class:`aigc.generate.base.LatentModel`."""

    kind = "vae"

    def __init__(
        self,
        options: VaeOptions,
        image_shape: tuple[int, int, int],
        classes: Sequence[str],
        network: VaeNetwork,
        prior: LatentPrior,
        reference: Tensor,
        compression: str = "",
    ) -> None:
        """Args: prior: a row a class and one for any; reference: such rows of 256 ascending scores of real pictures."""
        self.options, self.image_shape, self.classes = options, image_shape, tuple(classes)
        self.latent_size = options.latent_size
        self.network = network.eval().requires_grad_(False)
        self.prior, self.compression = prior, compression
        self._reference = reference

    @classmethod
    def from_task(
        cls, task: VaeTask, modules: Mapping[str, nn.Module], *, stage: str = "", components: int = 10
    ) -> VaeGenerator:
        """The trained network of a task, with the prior that it samples from.

        Args:
            task: Trained.
            modules: The averaged modules by name; those that are not there are the task's own.
            stage: ``fitted``: a Gaussian mixture fitted now; ``learned``: the mixture that was learned along;
                ``normal``: N(0, I); "" for the learned one, or a fitted one where none was learned.
            components: Of a fitted mixture, each class.

        Raises:
            InvalidInputError: No such stage, or ``learned`` of a task without.
        """
        network = modules.get("vae", task.network)
        assert isinstance(network, VaeNetwork)
        network = network.eval().requires_grad_(False)
        prior = build_prior(task, network, stage, components)
        rows = len(task.classes) + 1 if task.classes else 1
        made = cls(task.options, task.image_shape, task.classes, network, prior, torch.zeros(rows, _QUANTILES))
        made._reference = made._calibrated(task)
        return made

    @property
    def described(self) -> Mapping[str, object]:
        """Sizes and classes."""
        return {
            "likelihood": self.options.likelihood,
            "prior": self.options.prior,
            "components": len(self.prior.means),
            "classes": self.classes,
            "image_shape": self.image_shape,
            "latent_size": self.latent_size,
            "compression": self.compression,
            "parameters": sum(t.numel() for t in self.network.state_dict().values()),
        }

    def with_prior(self, prior: LatentPrior) -> VaeGenerator:
        """The same network, drawing from another prior (of a row a class and one for any)."""
        return VaeGenerator(
            self.options, self.image_shape, self.classes, self.network, prior, self._reference, self.compression
        )

    def with_compression(self, method: str) -> VaeGenerator:
        """See :class:`aigc.generate.compression.Compressible`; the scores of real pictures stay the original's."""
        if self.compression:
            raise InvalidInputError(f"the model is compressed already ({self.compression})", field="generator")
        network = compressed(self.network, method)
        return VaeGenerator(self.options, self.image_shape, self.classes, network, self.prior, self._reference, method)

    def generate(self, request: ImageRequest) -> list[GeneratedImage]:
        """One picture a seed; see :class:`aigc.generate.base.ImageGenerator`.

        Shown is the mean of p(x|z). ψ draws a latent towards the mean of the component that its seed chose, and latents
        that are handed in towards the mean of all. The latent that comes back is the one that was decoded.
        """
        latents, rows = self._latents(request)
        pixels = self._decode(latents, rows)
        scores = self._scores(pixels, rows)
        return [
            GeneratedImage(
                pixels=pixels[i],
                seed=seed,
                label=self.classes[rows[i]] if self.classes else "",
                latent=latents[i],
                quality=self._rank(scores[i], int(rows[i])),
            )
            for i, seed in enumerate(request.seeds)
        ]

    def encode(self, pixels: NDArray[np.uint8], classes: Sequence[str] = ()) -> NDArray[np.float32]:
        """(n, latent_size) float32 posterior means of (n, height, width, channels) uint8.

        Args:
            pixels: Pictures of the model's size.
            classes: One a picture, for a model that is conditional on them.
        """
        rows = self._rows(pixels, classes)
        latents = np.empty((len(pixels), self.latent_size), np.float32)
        for part, x, labels in self._chunks(visible(pixels), rows):
            latents[part] = self.network.posterior(x, labels)[0].cpu().numpy()[: part.stop - part.start]
        return latents

    def decode(self, latents: NDArray[np.float32], classes: Sequence[str] = ()) -> NDArray[np.uint8]:
        """(n, height, width, channels) uint8 means of p(x|z), of (n, latent_size) float32."""
        request = ImageRequest(range(len(latents)), classes, latents=latents)
        return self._decode(draw_latents(request, self.latent_size), self._asked(request))

    def reconstruct(self, pixels: NDArray[np.uint8], classes: Sequence[str] = ()) -> NDArray[np.uint8]:
        """The same pictures as the model understands them: decoded from their latents."""
        return self.decode(self.encode(pixels, classes), classes)

    def quality(self, pixels: NDArray[np.uint8], classes: Sequence[str] = ()) -> NDArray[np.float32]:
        """(n,) float32 in [0, 1]: the share of held-out real pictures whose bound is no higher than this one's."""
        rows = self._rows(pixels, classes)
        ranked = rows if classes else np.full(len(pixels), -1)
        scores = self._scores(pixels, rows)
        return np.array([self._rank(s, int(r)) for s, r in zip(scores, ranked, strict=True)], np.float32)

    def config(self) -> dict[str, object]:
        """What ``config.json`` says."""
        return {
            "options": asdict(self.options),
            "image_shape": self.image_shape,
            "classes": self.classes,
            "compression": self.compression,
        }

    def tensors(self) -> dict[str, Tensor]:
        """What ``model.safetensors`` holds."""
        network = {f"vae.{name}": tensor for name, tensor in self.network.state_dict().items()}
        return network | self.prior.tensors() | {"reference": self._reference}

    def save(self, folder: Path) -> None:
        """Write ``config.json`` and ``model.safetensors``."""
        write_model(folder, self.kind, _FORMAT, self.config(), self.tensors())

    @classmethod
    def load(cls, folder: Path, device: torch.device | None = None) -> VaeGenerator:
        """What :meth:`save` wrote; CorruptDataError names what is missing, broken or newer."""
        return cls.from_parts(read_config(folder, cls.kind, _FORMAT), read_tensors(folder), folder, device)

    @classmethod
    def from_parts(
        cls, config: Mapping[str, Any], tensors: Mapping[str, Tensor], folder: Path, device: torch.device | None = None
    ) -> VaeGenerator:
        """What :meth:`config` and :meth:`tensors` gave; ``folder`` is named where they do not fit."""
        try:
            raw = dict(config["options"])
            options = VaeOptions(**{**raw, "channels": tuple(raw["channels"]), "blocks": tuple(raw["blocks"])})
            height, width, channels = (int(v) for v in config["image_shape"])
            classes = tuple(str(c) for c in config["classes"])
            compression = str(config.get("compression", ""))
            network = build_vae(options, (height, width, channels), len(classes) if options.conditional else 0)
            network = compressed_shell(network, compression)
        except (KeyError, TypeError, ValueError, AigcError) as error:
            raise CorruptDataError(
                f"{folder / 'config.json'} describes no VAE ({error}); train it again", reason="MODEL_CORRUPT"
            ) from error
        fill_module(network, tensors, "vae", folder)
        network.to(device or "cpu")
        rows, where = len(classes) + 1 if classes else 1, str(folder / "model.safetensors")
        prior = LatentPrior.from_tensors(tensors, options.latent_size, rows, where)
        reference = tensors.get("reference")
        if reference is None or reference.shape != (rows, _QUANTILES):
            raise CorruptDataError(f"{where} lacks the scores of real pictures; train it again", reason="MODEL_CORRUPT")
        return cls(options, (height, width, channels), classes, network, prior, reference, compression)

    def _latents(self, request: ImageRequest) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        if request.latents is not None:
            rows = self._asked(request)
            given = draw_latents(replace(request, truncation=1.0), self.latent_size)
            draw_latents(replace(request, latents=None), 1)  # refuses a ψ without a meaning
            if request.truncation < 1:
                centre = self.prior.mean(-1)
                given = centre + np.float32(request.truncation) * (given - centre)
            return given, rows
        # Checks ψ and the seeds; what it draws is too small to matter.
        draw_latents(request, 1)
        rows = self._asked(request)
        latents = np.empty((len(request.seeds), self.latent_size), np.float32)
        for i, seed in enumerate(request.seeds):
            latents[i] = self.prior.draw(seed, int(rows[i]) if self.classes else -1, request.truncation)
        return latents, rows

    def _asked(self, request: ImageRequest) -> NDArray[np.int64]:
        return chosen_classes(request, self.classes)

    def _rows(self, pixels: NDArray[np.uint8], classes: Sequence[str]) -> NDArray[np.int64]:
        if pixels.ndim != 4 or pixels.shape[1:] != self.image_shape or pixels.dtype != np.uint8:
            raise InvalidInputError(
                f"pixels of shape {pixels.shape} and type {pixels.dtype}: this model knows "
                f"(n, {', '.join(map(str, self.image_shape))}) uint8; resize them first",
                field="pixels",
            )
        if self.options.conditional and self.classes and not classes:
            raise InvalidInputError("this model is conditional: name the class of each picture", field="classes")
        return self._asked(ImageRequest(range(len(pixels)), classes))

    def _chunks(self, pixels: NDArray[np.uint8], rows: NDArray[np.int64]) -> Iterator[tuple[slice, Tensor, Tensor]]:
        """Rows of ``pixels``, and padded to a chunk (_CHUNK, C, H, W) and (_CHUNK,) of them on the device."""
        device = next(self.network.parameters()).device
        with torch.inference_mode():
            for start in range(0, len(pixels), _CHUNK):
                part = slice(start, min(start + _CHUNK, len(pixels)))
                x = np.zeros((_CHUNK, *self.image_shape), np.uint8)
                labels = torch.zeros(_CHUNK, dtype=torch.int64)
                x[: part.stop - start], labels[: part.stop - start] = pixels[part], torch.from_numpy(rows[part])
                yield part, to_tensor(x).to(device), labels.to(device)

    def _decode(self, latents: NDArray[np.float32], rows: NDArray[np.int64]) -> NDArray[np.uint8]:
        device = next(self.network.parameters()).device
        pixels = np.empty((len(latents), *self.image_shape), np.uint8)
        with torch.inference_mode():
            for start in range(0, len(latents), _CHUNK):
                count = min(_CHUNK, len(latents) - start)
                z, labels = torch.zeros(_CHUNK, self.latent_size), torch.zeros(_CHUNK, dtype=torch.int64)
                z[:count] = torch.from_numpy(latents[start : start + count])
                labels[:count] = torch.from_numpy(rows[start : start + count])
                shown = self.network.likelihood.mean(self.network.decode(z.to(device), labels.to(device)))
                pixels[start : start + count] = to_pixels(shown)[:count]
        return visible(pixels)

    def _scores(self, pixels: NDArray[np.uint8], rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """(n,) float32: the bound at the posterior's mean, log p(x|μ) - KL, without chance.

        Of a binary decoder the expectation over binarised pictures, which is lower for what is blurred.
        """
        scores = np.empty(len(pixels), np.float32)
        for part, x, labels in self._chunks(visible(pixels), rows):
            mean, log_deviation = self.network.posterior(x, labels)
            likelihood = self.network.likelihood.log_prob(self.network.decode(mean, labels), x)
            if self.network.prior is None:
                divergence = normal_divergence(mean, log_deviation).sum(1)
            else:
                entropy = (log_deviation + _HALF_LOG_2_PI_E).sum(1)
                divergence = -entropy - self.network.log_prior(mean)
            scores[part] = (likelihood - divergence).cpu().numpy()[: part.stop - part.start]
        return scores

    def _rank(self, score: float, row: int) -> float:
        """Share of held-out real pictures (of the class, or of any by -1) that score no higher."""
        reference = self._reference[row].contiguous()
        return float(torch.searchsorted(reference, torch.tensor(float(score)), right=True)) / _QUANTILES

    def _calibrated(self, task: VaeTask) -> Tensor:
        pixels = task.held_out.pixels[:_CALIBRATED_ON]
        labelled = len(task.held_out.labels) == len(task.held_out.pixels)
        labels = task.held_out.labels[:_CALIBRATED_ON] if labelled else np.zeros(len(pixels), np.int64)
        scores = self._scores(pixels, labels if self.options.conditional else np.zeros(len(pixels), np.int64))
        steps = (np.arange(_QUANTILES) + 0.5) / _QUANTILES
        sets = [scores[labels == row] for row in range(len(self.classes))] + [scores]
        return torch.from_numpy(
            np.stack([np.quantile(s if len(s) else scores, steps) for s in sets]).astype(np.float32)
        )
