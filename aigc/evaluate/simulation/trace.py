"""What happened in one run: sums a round, and whether the cap of generated content held."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aigc.errors import CorruptDataError

__all__ = ["Trace"]


def _zeros() -> NDArray[np.float64]:
    return np.zeros(0)


@dataclass(frozen=True, slots=True)
class Trace:
    """Every array has a number a round.

    Attributes:
        visits: Users that were there.
        clicks: Their clicks.
        expected: The sum of the probabilities of these clicks: the same without the noise of the dice.
        shown: Items shown.
        on_taste: The sum over items shown of the liking for what they show: without weariness, repetition or place.
        generated: Items shown that a model made.
        generated_clicks: Clicks on them.
        admitted: Items that were generated and admitted.
        refused: Candidates that were refused.
        largest_share: Of generated items in any one list.
        over_cap: Lists with more generated items than the cap allows.
    """

    visits: NDArray[np.float64] = field(default_factory=_zeros)
    clicks: NDArray[np.float64] = field(default_factory=_zeros)
    expected: NDArray[np.float64] = field(default_factory=_zeros)
    shown: NDArray[np.float64] = field(default_factory=_zeros)
    on_taste: NDArray[np.float64] = field(default_factory=_zeros)
    generated: NDArray[np.float64] = field(default_factory=_zeros)
    generated_clicks: NDArray[np.float64] = field(default_factory=_zeros)
    admitted: NDArray[np.float64] = field(default_factory=_zeros)
    refused: NDArray[np.float64] = field(default_factory=_zeros)
    largest_share: NDArray[np.float64] = field(default_factory=_zeros)
    over_cap: NDArray[np.float64] = field(default_factory=_zeros)

    @classmethod
    def empty(cls, rounds: int) -> Trace:
        """Zeros to be added to."""
        return cls(**{name: np.zeros(rounds) for name in cls.__dataclass_fields__})

    @property
    def engagement(self) -> NDArray[np.float64]:
        """(rounds,) float64: expected clicks a visit; 0 in a round without visits."""
        return np.divide(self.expected, self.visits, out=np.zeros_like(self.expected), where=self.visits > 0)

    @property
    def mean_engagement(self) -> float:
        """Expected clicks a visit over the whole run."""
        return float(self.expected.sum() / max(1.0, self.visits.sum()))

    @property
    def mean_clicks(self) -> float:
        """Clicks a visit over the whole run."""
        return float(self.clicks.sum() / max(1.0, self.visits.sum()))

    @property
    def generated_share(self) -> NDArray[np.float64]:
        """(rounds,) float64: generated items ÷ items shown."""
        return np.divide(self.generated, self.shown, out=np.zeros_like(self.shown), where=self.shown > 0)

    def to_json(self) -> dict[str, Any]:
        """As JSON's own types."""
        return {name: getattr(self, name).tolist() for name in self.__dataclass_fields__}

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> Trace:
        """The inverse of :meth:`to_json`; CorruptDataError when it is none."""
        try:
            found = {name: np.array(raw[name], np.float64) for name in cls.__dataclass_fields__}
        except (KeyError, TypeError, ValueError) as error:
            raise CorruptDataError(f"no trace of a simulation: {error}; delete the file and run it again") from error
        if len({values.shape for values in found.values()}) != 1:
            raise CorruptDataError("a trace of a simulation is cut off; delete the file and run it again")
        return cls(**found)
