"""A trained text → picture GAN, ready to draw."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from numpy.typing import NDArray
from torch import Tensor

from aigc.errors import AigcError, CorruptDataError, InvalidInputError
from aigc.generate.base import GeneratedImage, ImageData, ImageRequest
from aigc.generate.caption_gan import CaptionDiscriminator, CaptionGanOptions, build_caption_networks
from aigc.generate.caption_gan_task import CaptionGanTask
from aigc.generate.caption_meaning import CaptionMeaning, read_captions
from aigc.generate.caption_memory import CaptionMemory
from aigc.generate.captions import CaptionEncoder
from aigc.generate.gan import Generator
from aigc.generate.gan_options import GanOptions
from aigc.generate.latents import draw_latents
from aigc.generate.model_folder import fill_module, read_config, read_tensors, write_model
from aigc.generate.pictures import premultiplied, straight, to_pixels, to_tensor

__all__ = ["CaptionGanGenerator"]

# Models without words' vectors are still written as format 1, which earlier versions read.
_WITH_WORDS = 2
_WORD_OPTIONS = ("word_vectors", "word_limit", "hidden", "dropped_words", "neighbours", "recalled")
_QUANTILES = 256
_MAX_CAPTION = 1000
# Batches are padded to this: the same kernels run, whatever the number of rows, so a row's bytes stay the same.
_CHUNK = 16


class CaptionGanGenerator:
    """An :class:`aigc.generate.base.ImageGenerator` that reads captions in Chinese or English."""

    kind = "caption-gan"
    classes: Sequence[str] = ()

    def __init__(
        self,
        options: CaptionGanOptions,
        image_shape: tuple[int, int, int],
        networks: tuple[Generator, CaptionDiscriminator, CaptionEncoder],
        reference: Tensor,
        words: tuple[CaptionMeaning, CaptionMemory] | None = None,
    ) -> None:
        """Make one.

        Args:
            options: Of the networks.
            image_shape: (height, width, channels).
            networks: Trained.
            reference: (256,) ascending scores of held-out real pictures with their captions.
            words: The words' vectors and the captions of training, of a model that learned with them.
        """
        self.options, self.image_shape = options, image_shape
        self.latent_size = options.networks.latent_size
        self.generator, self.discriminator, self.encoder = networks
        for module in networks:
            module.eval().requires_grad_(False)
        self._reference = reference
        self.words = words

    @classmethod
    def from_task(cls, task: CaptionGanTask, modules: Mapping[str, torch.nn.Module]) -> CaptionGanGenerator:
        """The trained networks of a task, the averaged ones by name in ``modules``."""
        generator, encoder = modules.get("generator", task.generator), modules.get("encoder", task.encoder)
        discriminator = modules.get("discriminator", task.discriminator)
        assert isinstance(generator, Generator)
        assert isinstance(discriminator, CaptionDiscriminator)
        assert isinstance(encoder, CaptionEncoder)
        words = (task.meaning, task.remember(encoder)) if task.meaning else None
        networks = (generator, discriminator, encoder)
        made = cls(task.options, task.image_shape, networks, torch.zeros(_QUANTILES), words)
        made._reference = made._calibrated(task.held_out)
        return made

    @property
    def described(self) -> Mapping[str, object]:
        """Sizes."""
        return {
            **({"words": len(self.words[0].table.words)} if self.words else {}),
            "captions": True,
            "image_shape": self.image_shape,
            "latent_size": self.latent_size,
            "parameters": sum(p.numel() for m in (self.generator, self.encoder) for p in m.parameters()),
        }

    def generate(self, request: ImageRequest) -> list[GeneratedImage]:
        """One picture a seed and caption; see :class:`aigc.generate.base.ImageGenerator`.

        Raises:
            InvalidInputError: Captions are missing or empty, or classes are asked for.
        """
        latents = draw_latents(request, self.latent_size)
        if any(request.classes):
            raise InvalidInputError("this model has no classes: say it in captions", field="classes")
        if len(request.captions) != len(request.seeds):
            raise InvalidInputError(
                f"{len(request.captions)} captions for {len(request.seeds)} seeds: one a picture", field="captions"
            )
        for i, caption in enumerate(request.captions):
            if not caption.strip() or len(caption) > _MAX_CAPTION:
                raise InvalidInputError(
                    f"a caption of {len(caption)} characters: 1 to {_MAX_CAPTION} are read", field=f"captions[{i}]"
                )
        made: list[GeneratedImage] = []
        for start in range(0, len(latents), _CHUNK):
            part = slice(start, start + _CHUNK)
            vectors = self._read(request.captions[part])
            z = _padded(torch.from_numpy(latents[part]))
            with torch.inference_mode():
                shown = to_pixels(self.generator(torch.cat([z.to(vectors.device), vectors], dim=1), vectors))
            scores = self._scores(shown, vectors)
            for i, caption in enumerate(request.captions[part]):
                rank = torch.searchsorted(self._reference, torch.tensor(scores[i]), right=True)
                made.append(
                    GeneratedImage(
                        pixels=straight(shown[i]),
                        seed=request.seeds[start + i],
                        label=caption,
                        latent=latents[start + i],
                        quality=float(rank) / _QUANTILES,
                    )
                )
        return made

    def save(self, folder: Path) -> None:
        """Write ``config.json`` and ``model.safetensors``."""
        tensors = {"reference": self._reference}
        for name in ("generator", "discriminator", "encoder"):
            tensors |= {f"{name}.{key}": value for key, value in getattr(self, name).state_dict().items()}
        chosen = asdict(self.options)
        # Where the file stood is nothing to the model, which holds what it needs of it.
        left_out = {"word_vectors"} if self.words else set(_WORD_OPTIONS)
        config = {"options": {k: v for k, v in chosen.items() if k not in left_out}, "image_shape": self.image_shape}
        if self.words:
            tensors |= self.words[0].tensors() | self.words[1].tensors()
        write_model(folder, self.kind, _WITH_WORDS if self.words else 1, config, tensors)

    @classmethod
    def load(cls, folder: Path, device: torch.device | None = None) -> CaptionGanGenerator:
        """What :meth:`save` wrote; CorruptDataError names what is missing, broken or newer."""
        config = read_config(folder, cls.kind, _WITH_WORDS)
        tensors = read_tensors(folder)
        path = folder / "model.safetensors"
        meaning = CaptionMeaning.from_tensors(tensors, path) if config["format"] == _WITH_WORDS else None
        try:
            raw = dict(config["options"])
            networks = dict(raw.pop("networks"))
            options = CaptionGanOptions(
                networks=GanOptions(**{**networks, "channels": tuple(networks["channels"])}), **raw
            )
            height, width, channels = (int(v) for v in config["image_shape"])
            built = build_caption_networks((height, width, channels), options, meaning.size if meaning else 0)
        except (KeyError, TypeError, ValueError, AigcError) as error:
            raise CorruptDataError(
                f"{folder / 'config.json'} describes no caption GAN ({error}); train it again", reason="MODEL_CORRUPT"
            ) from error
        for name, module in zip(("generator", "discriminator", "encoder"), built, strict=True):
            fill_module(module, tensors, name, folder)
            module.to(device or "cpu")
        reference = tensors.get("reference")
        if reference is None or reference.shape != (_QUANTILES,):
            raise CorruptDataError(
                f"{folder / 'model.safetensors'} lacks the scores of real pictures; train it again",
                reason="MODEL_CORRUPT",
            )
        words = None
        if meaning:
            sizes = (meaning.size, options.caption_size)
            words = (meaning, CaptionMemory.from_tensors(tensors, sizes, path))
        return cls(options, (height, width, channels), built, reference, words)

    def _read(self, captions: Sequence[str]) -> Tensor:
        """(16, caption_size): vectors of up to 16 captions, the rest padding."""
        device = next(self.encoder.parameters()).device
        pieces, features = read_captions(captions, self.words[0] if self.words else None)
        with torch.inference_mode():
            if features is None or self.words is None:
                alone: Tensor = self.encoder(_padded(pieces).to(device))
                return alone
            features = _padded(features)
            own: Tensor = self.encoder(_padded(pieces).to(device), features.to(device))
            recalled = self.words[1].recall(features, self.options.neighbours).to(device)
            share = self.options.recalled * (features != 0).any(dim=1, keepdim=True).to(device)
            return F.normalize((1 - share) * own + share * recalled, dim=1)

    def _scores(self, shown: NDArray[np.uint8], vectors: Tensor) -> list[float]:
        """The discriminator's logits of (16, H, W, C) pictures with premultiplied colours."""
        with torch.inference_mode():
            features, alone, _ = self.discriminator(to_tensor(shown).to(vectors.device))
            return [float(v) for v in self.discriminator.judge(features, alone, vectors)]

    def _calibrated(self, held_out: ImageData) -> Tensor:
        scores: list[float] = []
        for start in range(0, len(held_out.pixels), _CHUNK):
            captions = [c.splitlines()[0] for c in held_out.captions[start : start + _CHUNK]]
            shown = torch.from_numpy(premultiplied(held_out.pixels[start : start + _CHUNK]))
            scores += self._scores(_padded(shown).numpy(), self._read(captions))[: len(captions)]
        steps = (np.arange(_QUANTILES) + 0.5) / _QUANTILES
        return torch.from_numpy(np.quantile(scores, steps).astype(np.float32))


def _padded(rows: Tensor) -> Tensor:
    """(16, …): zeros after the rows."""
    out = torch.zeros(_CHUNK, *rows.shape[1:], dtype=rows.dtype)
    out[: len(rows)] = rows
    return out
