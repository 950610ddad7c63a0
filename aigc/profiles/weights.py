"""How much one event says about a taste."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from aigc.errors import InvalidInputError

__all__ = ["DEFAULT_WEIGHTS", "EventWeights"]

DEFAULT_WEIGHTS: Mapping[str, float] = {
    "impression": 0.0,
    "view": 0.2,
    "click": 0.3,
    "watch": 0.4,
    "comment": 0.5,
    "share": 0.7,
    "like": 0.8,
    "save": 0.8,
    "purchase": 1.0,
    "rating": 1.0,
    "skip": -0.2,
    "dislike": -1.0,
}


@dataclass(frozen=True, slots=True)
class EventWeights:
    """Event type → weight in [-1, 1]; a ``rating`` scales its weight by how far it lies from the neutral mark.

    Attributes:
        by_type: The known event types; an event of another type is refused.
        rating_neutral: The stars that say neither yes nor no.
        rating_span: Stars from neutral to the strongest opinion.
    """

    by_type: Mapping[str, float] = field(default_factory=lambda: dict(DEFAULT_WEIGHTS))
    rating_neutral: float = 2.75
    rating_span: float = 2.25

    def __post_init__(self) -> None:
        """Refuse weights out of range."""
        for name, weight in self.by_type.items():
            if not (math.isfinite(weight) and -1 <= weight <= 1):
                raise InvalidInputError(
                    f"events.weights.{name} is {weight}; give a number in [-1, 1]", field=f"events.weights.{name}"
                )

    def check_type(self, event_type: str, field_path: str) -> None:
        """Raise InvalidInputError, naming ``field_path``, when the type has no weight."""
        if event_type not in self.by_type:
            raise InvalidInputError(
                f"{field_path} is {event_type!r}; known types: {', '.join(sorted(self.by_type))} "
                "(add one under [events.weights] in the settings)",
                field=field_path,
                reason="UNKNOWN_EVENT_TYPE",
            )

    def weigh(self, types: Sequence[str], values: NDArray[np.float64]) -> NDArray[np.float32]:
        """Weights of n events.

        Args:
            types: n event types; an unknown one weighs 0, so that an old event never breaks a rebuild.
            values: (n,) float64, NaN where the event has no value.

        Returns:
            (n,) float32 in [-1, 1].
        """
        known = self.by_type
        weights = np.fromiter((known.get(t, 0.0) for t in types), np.float64, len(types))
        rated = np.fromiter((t == "rating" for t in types), np.bool_, len(types)) & ~np.isnan(values)
        opinion = (values[rated] - self.rating_neutral) / self.rating_span
        weights[rated] *= np.clip(opinion, -1.0, 1.0)
        return weights.astype(np.float32)
