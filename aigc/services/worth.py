"""Is what is generated worth its places? Its share of the lists follows what people did with it and the rest."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterable, Sequence

__all__ = ["Worth"]

# Impressions after which what happened counts half.
_HALF_LIFE = 2000.0
# Impressions of generated items before they are judged.
_LEAST = 30.0
_WORTHLESS = 0.5


class Worth:
    """Positive weight an impression of generated items over that of all others; thread-safe.

    The share stays whole while generated items do as well as the rest, or while too little is known to say that they do
    not: the ratio is taken one standard error above what was seen. It falls in a straight line to nothing where they do
    half as well. Since what was seen fades, they are tried again by and by.
    """

    def __init__(self, is_generated: Callable[[str], bool]) -> None:
        """Args: is_generated: tells by item id."""
        self._is_generated = is_generated
        self._lock = threading.Lock()
        # [impressions, positive weight], of others and of generated ones.
        self._seen = ([0.0, 0.0], [0.0, 0.0])

    def learn(self, item_ids: Sequence[str], weights: Iterable[float]) -> None:
        """Take in events: weight 0 is an impression, a positive one speaks for the item."""
        with self._lock:
            for item_id, weight in zip(item_ids, weights, strict=True):
                side = self._seen[self._is_generated(item_id)]
                if weight > 0:
                    side[1] += weight
                elif weight == 0:
                    side[0] += 1
                    for each in self._seen:
                        each[0] *= 2 ** (-1 / _HALF_LIFE)
                        each[1] *= 2 ** (-1 / _HALF_LIFE)

    def factor(self) -> float:
        """What the share of generated items is to be multiplied by, in [0, 1]."""
        with self._lock:
            (shown, liked), (made_shown, made_liked) = self._seen
        if made_shown < _LEAST or shown < _LEAST or liked <= 0:
            return 1.0
        ratio = (made_liked / made_shown) / (liked / shown)
        # Of a sum of few weights the relative error is about one over the root of their number.
        above = ratio * (1 + 1 / math.sqrt(made_liked + 1))
        return min(1.0, max(0.0, (above - _WORTHLESS) / (1 - _WORTHLESS)))
