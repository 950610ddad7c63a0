"""Is a candidate no worse than the champion by what was measured of both before anyone saw their work?"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

__all__ = ["MEASURES", "Comparison", "Measure", "OfflineVerdict", "judge_offline"]


_ERRORS = 2.0


@dataclass(frozen=True, slots=True)
class Measure:
    """A figure that generators are compared by.

    Attributes:
        name: As it stands among a model's measures.
        higher_is_better: Its direction.
        relative: How much worse is no worse yet, as part of the champion's figure.
        absolute: The same in the figure's own unit; the larger of both holds.
    """

    name: str
    higher_is_better: bool
    relative: float = 0.0
    absolute: float = 0.0

    def slack(self, champion: float) -> float:
        """How much worse a candidate may be."""
        return max(self.absolute, self.relative * abs(champion))


_PICTURES = (
    Measure("frechet", False, relative=0.05),
    Measure("kernel", False, relative=0.05, absolute=1e-4),
    Measure("precision", True, absolute=0.02),
    Measure("recall", True, absolute=0.02),
    Measure("coverage", True, absolute=0.02),
    Measure("label_accuracy", True, absolute=0.01),
    Measure("copies", False, absolute=0.005),
    Measure("diversity", True, absolute=0.05),
)
_TEXTS = (Measure("bits_per_character", False, relative=0.01), Measure("loss", False, relative=0.01))

MEASURES: Mapping[str, Sequence[Measure]] = {
    "gan": _PICTURES,
    "vae": (*_PICTURES, Measure("elbo", True, relative=0.01)),
    "caption-gan": (*_PICTURES, Measure("found_among_10", True, absolute=0.03)),
    "audio-vae": (*_PICTURES, Measure("elbo", True, relative=0.01)),
    "gpt": _TEXTS,
    "bert": _TEXTS,
}
"""A generator's kind → what is compared; the tolerances are about what a second run of the same training differs by."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """One measure of both models; NaN where the candidate has none."""

    name: str
    champion: float
    candidate: float
    worst_allowed: float
    passes: bool


@dataclass(frozen=True, slots=True)
class OfflineVerdict:
    """All comparisons, and what they come to."""

    comparisons: tuple[Comparison, ...]

    @property
    def passes(self) -> bool:
        """True when something was compared and nothing was worse."""
        return bool(self.comparisons) and all(c.passes for c in self.comparisons)

    @property
    def text(self) -> str:
        """In words."""
        if not self.comparisons:
            return "nothing was measured of the champion that could be compared; evaluate both models"
        return "; ".join(
            f"{c.name} is {c.candidate:.4g}, the champion's {c.champion:.4g}, at worst {c.worst_allowed:.4g} is allowed"
            for c in self.comparisons
            if self.passes or not c.passes
        )


def judge_offline(
    kind: str,
    champion: Mapping[str, float],
    candidate: Mapping[str, float],
    measures: Mapping[str, Sequence[Measure]] = MEASURES,
) -> OfflineVerdict:
    """Compare every measure of the kind that the champion has; one that the candidate lacks counts as worse.

    Where measures come with their standard errors (``frechet`` and ``frechet_error``), two errors of the difference are
    allowed on top of the tolerance: a version must not be refused for the pictures that happened to be drawn.

    Args:
        kind: The generators' kind; of an unknown one nothing is compared, and nothing passes.
        champion: Name → figure.
        candidate: Name → figure.
        measures: Kind → what is compared.
    """
    found = []
    for measure in measures.get(kind, ()):
        held = champion.get(measure.name, math.nan)
        if not math.isfinite(held):
            continue
        got = candidate.get(measure.name, math.nan)
        errors = (found_of.get(f"{measure.name}_error", 0.0) for found_of in (champion, candidate))
        slack = measure.slack(held) + _ERRORS * math.hypot(*errors)
        worst = held - slack if measure.higher_is_better else held + slack
        passes = math.isfinite(got) and (got >= worst if measure.higher_is_better else got <= worst)
        found.append(Comparison(measure.name, held, got, worst, passes))
    return OfflineVerdict(tuple(found))
