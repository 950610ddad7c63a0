"""What is asked of a generator, and what it gives: free of any model and of any wire type."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    # It imports torch, and this file does not.
    from aigc.generate.decode import EngineLimits, TextEngine

__all__ = [
    "AudioGenerator",
    "AudioRequest",
    "GeneratedImage",
    "GeneratedSound",
    "Generator",
    "ImageData",
    "ImageGenerator",
    "ImageRequest",
    "LatentModel",
    "SoundData",
    "TextData",
    "TextGenerator",
]


@dataclass(frozen=True, slots=True)
class ImageRequest:
    """Pictures wanted; each depends on its own entry alone, never on its neighbours.

    Attributes:
        seeds: One a picture.
        classes: One a picture, or empty; "" lets the seed choose.
        captions: One a picture, or empty.
        truncation: ψ in (0, 1]: latents are scaled towards their mean; below 1 surer and less varied.
        latents: (n, latent_size) float32 in place of what the seeds would draw.
    """

    seeds: Sequence[int]
    classes: Sequence[str] = ()
    captions: Sequence[str] = ()
    truncation: float = 1.0
    latents: NDArray[np.float32] | None = None


@dataclass(frozen=True, slots=True)
class GeneratedImage:
    """A picture and what it was made from.

    Attributes:
        pixels: (height, width, channels) uint8; 1, 3 or 4 channels.
        seed: The one that was asked for.
        label: Its class, "" when the model knows none.
        latent: (latent_size,) float32.
        quality: In [0, 1], 1 best: how like real content its own scorer finds it; NaN without a scorer.
    """

    pixels: NDArray[np.uint8]
    seed: int
    label: str
    latent: NDArray[np.float32]
    quality: float = float("nan")


@dataclass(frozen=True, slots=True)
class AudioRequest:
    """Recordings wanted, with fields as in :class:`ImageRequest`."""

    seeds: Sequence[int]
    classes: Sequence[str] = ()
    truncation: float = 1.0
    latents: NDArray[np.float32] | None = None


@dataclass(frozen=True, slots=True)
class GeneratedSound:
    """A recording: ``samples`` (n,) float32 in [-1, 1] at ``rate`` Hz, and what it was made from."""

    samples: NDArray[np.float32]
    rate: int
    seed: int
    label: str
    latent: NDArray[np.float32]
    quality: float = float("nan")


class Generator(Protocol):
    """A trained model: a folder of ``config.json`` and ``.safetensors``, nothing executable."""

    @property
    def kind(self) -> str:
        """The recipe's name: ``gan``, ``vae``, ``gpt``, ``bert``, ``caption-gan``, ``audio-vae``."""
        ...

    @property
    def described(self) -> Mapping[str, object]:
        """What a caller may want to know: classes, sizes, number of parameters."""
        ...

    def save(self, folder: Path) -> None:
        """Write ``config.json`` and ``.safetensors``; ``folder`` exists and is empty."""
        ...


@runtime_checkable
class ImageGenerator(Protocol):
    """Makes pictures."""

    classes: Sequence[str]
    latent_size: int
    image_shape: tuple[int, int, int]

    def generate(self, request: ImageRequest) -> list[GeneratedImage]:
        """One picture a seed. The same entry gives the same bytes on the same build, whatever the rest of the batch.

        Raises:
            InvalidInputError: A class is unknown, or a latent has another size; names the field.
        """
        ...


@runtime_checkable
class AudioGenerator(Protocol):
    """Makes recordings; see :class:`ImageGenerator`."""

    classes: Sequence[str]
    latent_size: int
    rate: int

    def generate(self, request: AudioRequest) -> list[GeneratedSound]:
        """One recording a seed."""
        ...


@runtime_checkable
class TextGenerator(Protocol):
    """Writes texts."""

    def engine(self, slots: int, limits: EngineLimits) -> TextEngine:
        """What decodes: ``slots`` texts at once; close it when done."""
        ...


@runtime_checkable
class LatentModel(Protocol):
    """Content ↔ latent: the half of a VAE that a GAN lacks."""

    latent_size: int

    def encode(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """(n, latent_size) float32 posterior means of (n, height, width, channels) uint8."""
        ...

    def decode(self, latents: NDArray[np.float32]) -> NDArray[np.uint8]:
        """(n, height, width, channels) uint8 of (n, latent_size) float32."""
        ...


@dataclass(frozen=True, slots=True)
class ImageData:
    """Pictures to learn from.

    Attributes:
        pixels: (n, height, width, channels) uint8.
        labels: (n,) int64 rows of ``classes``; empty when there are none.
        classes: Names.
        captions: One a picture, several joined by a newline; empty when there are none.
    """

    pixels: NDArray[np.uint8]
    labels: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    classes: Sequence[str] = ()
    captions: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class SoundData:
    """Recordings to learn from: ``samples`` each (length,) float32 at ``rate`` Hz, ``labels`` rows of ``classes``."""

    samples: Sequence[NDArray[np.float32]]
    rate: int
    labels: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    classes: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class TextData:
    """Texts to learn from.

    Attributes:
        documents: Whole texts; one is cut into windows, several are packed with an end mark between them.
        held_out: Of the same kind, for validation.
        pairs: (prompt, answer) for fine-tuning on dialogues; empty for plain text.
        held_out_pairs: The same for validation.
    """

    documents: Sequence[str]
    held_out: Sequence[str] = ()
    pairs: Sequence[tuple[str, str]] = ()
    held_out_pairs: Sequence[tuple[str, str]] = ()
