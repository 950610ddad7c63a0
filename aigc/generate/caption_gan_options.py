"""What may be chosen about a text → picture GAN: free of torch."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from aigc.errors import InvalidInputError
from aigc.generate.gan_options import GanOptions

__all__ = ["CaptionGanOptions"]


@dataclass(frozen=True, slots=True)
class CaptionGanOptions:
    """Choices.

    Attributes:
        networks: Sizes, rates and penalties as of any GAN; ``conditional`` and ``loss`` do not count.
        caption_size: Numbers a caption becomes.
        mismatch: Weight of the wrong captions; 0 for none.
        contrast: Weight of finding a picture's caption among the batch's.
        temperature: Of that choice.
        dropped: Share of a caption's pieces hidden in training.
        dropped_rare: The same of pieces that only one picture has, since a new caption will have others: what it shares
            with known ones must be enough.
        word_vectors: A .vec file of this machine with vectors of words, learned from more language than captions hold,
            so that wordings that no picture had are understood; "" for none, and then the next five do not count.
        word_limit: Words kept from the file's beginning, and with the model; those of the captions are kept always.
        hidden: Share of captions in training of which only the words' vectors are shown, none of their pieces.
        dropped_words: Share of a caption's words whose vectors are hidden in training.
        neighbours: Captions of training nearest in meaning that are looked at in drawing.
        recalled: Weight in [0, 1] of their vectors beside a caption's own.
        reach: How far every other picture is shifted and scaled for the discriminator, as a share of the side.
    """

    networks: GanOptions = field(
        default_factory=lambda: GanOptions(channels=(192, 96, 64), penalty=0.5, conditional=False)
    )
    caption_size: int = 128
    mismatch: float = 1.0
    contrast: float = 0.5
    temperature: float = 0.1
    dropped: float = 0.2
    dropped_rare: float = 0.6
    reach: float = 0.12
    word_vectors: str = ""
    word_limit: int = 100_000
    hidden: float = 0.2
    dropped_words: float = 0.2
    neighbours: int = 8
    recalled: float = 0.8

    def __post_init__(self) -> None:
        for name, least, most in (
            ("caption_size", 1, 4096),
            ("mismatch", 0, math.inf),
            ("contrast", 0, math.inf),
            ("temperature", 0.01, 10),
            ("dropped", 0, 0.9),
            ("dropped_rare", 0, 1),
            ("reach", 0, 0.5),
            ("word_limit", 0, 10_000_000),
            ("hidden", 0, 1),
            ("dropped_words", 0, 0.9),
            ("neighbours", 1, 1000),
            ("recalled", 0, 1),
        ):
            value = getattr(self, name)
            if not (math.isfinite(value) and least <= value <= most):
                raise InvalidInputError(f"{name} is {value}: take a number from {least} to {most}", field=name)
        if self.networks.architecture != "residual" or self.networks.pack != 1 or self.networks.unroll_steps:
            raise InvalidInputError(
                "networks: a residual pair, neither packed nor unrolled, is needed", field="networks"
            )
