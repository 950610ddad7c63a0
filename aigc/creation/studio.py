"""Where generators work, as the loop sees it: free of any wire, so that it can be another process."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from aigc.generate.repository import ModelInfo

__all__ = ["Made", "PictureOrder", "Studio", "TextOrder"]


@dataclass(frozen=True, slots=True)
class PictureOrder:
    """Pictures wanted of one model, with entries one a picture; see :class:`aigc.generate.base.ImageRequest`."""

    model: str
    seeds: tuple[int, ...]
    classes: tuple[str, ...] = ()
    captions: tuple[str, ...] = ()
    latents: NDArray[np.float32] | None = None
    truncation: float = 1.0


@dataclass(frozen=True, slots=True)
class TextOrder:
    """Texts wanted of one model, one a seed, all from one prompt."""

    model: str
    seeds: tuple[int, ...]
    prompt: str
    max_tokens: int = 128
    temperature: float = 0.8
    top_p: float = 0.95
    repetition_penalty: float = 1.1


@dataclass(frozen=True, slots=True)
class Made:
    """What came back.

    Attributes:
        seed: Of this piece.
        data: A PNG file, or the text in UTF-8.
        label: The class, empty without one.
        latent: (latent_size,) float32; empty for texts.
        quality: In [0, 1]; NaN without a scorer.
        fluency: Mean log-probability a token of a text, in nats; NaN for others.
    """

    seed: int
    data: bytes
    label: str = ""
    latent: tuple[float, ...] = ()
    quality: float = float("nan")
    fluency: float = float("nan")


class Studio(Protocol):
    """Makes what is ordered; every call may raise UnavailableError when the generator is down."""

    def models(self) -> Sequence[ModelInfo]:
        """All versions of all models."""
        ...

    def pictures(self, order: PictureOrder) -> Sequence[Made]:
        """One a seed, in order."""
        ...

    def texts(self, order: TextOrder) -> Sequence[Made]:
        """One a seed, in order."""
        ...

    def encode(self, model: str, pictures: Sequence[bytes]) -> NDArray[np.float32]:
        """(n, latent_size) float32 of encoded pictures."""
        ...
