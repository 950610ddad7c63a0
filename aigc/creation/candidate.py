"""A piece of generated content before it may become an item."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from aigc.entities import Item

__all__ = ["Candidate"]


@dataclass(frozen=True, slots=True)
class Candidate:
    """What a generator made.

    Attributes:
        kind: ``text``, ``image`` or ``audio``.
        title: The line it would be shown by.
        text: The body of a text.
        pixels: (height, width, channels) uint8 of a picture; None for others.
        label: The class it was made for, empty when there was none.
        quality: In [0, 1] by the model's own scorer; NaN without one.
        language: A BCP 47 tag.
        sources: Items that its condition was made from: what it may claim, it claims by them.
        prompt: The words it was made from.
    """

    kind: str
    title: str = ""
    text: str = ""
    pixels: NDArray[np.uint8] | None = None
    label: str = ""
    quality: float = float("nan")
    language: str = ""
    sources: Sequence[Item] = field(default_factory=tuple)
    prompt: str = ""

    @property
    def words(self) -> str:
        """Everything in it that can be read."""
        return "\n".join(part for part in (self.title, self.text) if part)
