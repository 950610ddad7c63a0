"""What may be chosen about the data that a generator learns from."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from aigc.errors import InvalidInputError

__all__ = ["ImageDataOptions", "SoundDataOptions", "TextDataOptions"]

_SIZE = re.compile(r"(\d+)x(\d+)")
_FORMS = ("auto", "texts", "dialogues")


@dataclass(frozen=True, slots=True)
class ImageDataOptions:
    """Pictures: all are brought to one shape.

    Attributes:
        size: HEIGHTxWIDTH in pixels, such as 28x28; empty for the most frequent one, which at least half must have.
        largest_side: A longer side is reduced to this, and both sides to multiples of 8; 0 for never.
        channels: 1 grey, 3 colour, 4 with transparency; 0 for what the pictures need.
        labels: Learn the categories too, where every picture has one.
        held_out: Share kept for validation; two pictures at least, 10,000 at most.
        limit: Pictures at most, chosen at random; 0 for all.
        seed: Of what is held out and of the choice.
    """

    size: str = ""
    largest_side: int = 64
    channels: int = 0
    labels: bool = True
    held_out: float = 0.1
    limit: int = 0
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse values without a meaning."""
        if self.size and not (_SIZE.fullmatch(self.size) and min(self.shape or (0, 0)) > 0):
            _refuse("size", self.size, "HEIGHTxWIDTH, such as 28x28")
        if self.channels not in (0, 1, 3, 4):
            _refuse("channels", self.channels, "0, 1, 3 or 4")
        if self.largest_side and self.largest_side < 8:
            _refuse("largest_side", self.largest_side, "0, or at least 8")
        _check_common(self.held_out, self.limit, self.seed)

    @property
    def shape(self) -> tuple[int, int] | None:
        """(height, width) that was asked for."""
        found = _SIZE.fullmatch(self.size)
        return (int(found[1]), int(found[2])) if found else None


@dataclass(frozen=True, slots=True)
class SoundDataOptions:
    """Recordings: all are brought to one rate.

    Attributes:
        rate: In Hz; 0 for the most frequent one.
        name_pattern: What the parts of a file's name mean, such as {category}_{author}_{} for 7_theo_12.wav.
        labels: Learn the categories too, where every recording has one.
        held_out: Share kept for validation; two recordings at least, 10,000 at most.
        limit: Recordings at most, chosen at random; 0 for all.
        seed: Of what is held out and of the choice.
    """

    rate: int = 0
    name_pattern: str = ""
    labels: bool = True
    held_out: float = 0.1
    limit: int = 0
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse values without a meaning."""
        if self.rate and not 1000 <= self.rate <= 384_000:
            _refuse("rate", self.rate, "0, or 1,000 to 384,000 Hz")
        _check_common(self.held_out, self.limit, self.seed)


@dataclass(frozen=True, slots=True)
class TextDataOptions:
    """Texts, or dialogues to learn answers from.

    Attributes:
        form: texts, to be continued; dialogues, whose odd lines are prompts and whose even ones are answers; or auto:
            dialogues when every item is one (its kind is dialogue, or its file has a column of turns).
        title: Begin each text with its title in a line of its own.
        held_out: Share kept for validation; of one text alone its end.
        limit: Texts at most, chosen at random; 0 for all.
        seed: Of what is held out and of the choice.
    """

    form: str = "auto"
    title: bool = False
    held_out: float = 0.1
    limit: int = 0
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse values without a meaning."""
        if self.form not in _FORMS:
            _refuse("form", self.form, f"one of {', '.join(_FORMS)}")
        _check_common(self.held_out, self.limit, self.seed)


def _check_common(held_out: float, limit: int, seed: int) -> None:
    if not (math.isfinite(held_out) and 0 <= held_out < 1):
        _refuse("held_out", held_out, "a number from 0 to below 1")
    for name, value in (("limit", limit), ("seed", seed)):
        if value < 0:
            _refuse(name, value, "0 or more")


def _refuse(name: str, value: object, wanted: str) -> None:
    raise InvalidInputError(f"data.{name} is {value!r}; give {wanted}", field=f"data.{name}")
