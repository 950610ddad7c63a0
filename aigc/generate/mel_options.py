"""How a recording becomes a picture: free of torch."""

from __future__ import annotations

import math
from dataclasses import dataclass

from aigc.errors import InvalidInputError

__all__ = ["MelOptions"]


@dataclass(frozen=True, slots=True)
class MelOptions:
    """How a recording becomes a picture of ``bands`` × ``frames`` bytes.

    Attributes:
        rate: Samples a second, in Hz; other recordings are resampled.
        window: Samples of a frame.
        hop: Samples from one frame to the next.
        bands: Mel bands from ``lowest_hz`` to half the rate: the picture's height, the lowest band on top.
        frames: The picture's width; what is longer is cut, what is shorter is followed by silence.
        lowest_hz: Where the bands begin, in Hz.
        range_db: From the loudest of a recording down to black, in dB.
        iterations: Of Griffin and Lim.
    """

    rate: int = 8000
    window: int = 256
    hop: int = 80
    bands: int = 64
    frames: int = 80
    lowest_hz: float = 60.0
    range_db: float = 70.0
    iterations: int = 60

    def __post_init__(self) -> None:
        for field, low, high in (
            ("rate", 1000, 192_000),
            ("window", 16, 1 << 16),
            ("hop", 1, self.window),
            ("bands", 2, self.window // 2),
            ("frames", 2, 1 << 16),
            ("lowest_hz", 0, self.rate / 2 - 1),
            ("range_db", 10, 200),
            ("iterations", 1, 10_000),
        ):
            value = getattr(self, field)
            if not math.isfinite(value) or not low <= value <= high:
                raise InvalidInputError(f"{field} is {value}: take a number from {low} to {high:g}", field=field)
