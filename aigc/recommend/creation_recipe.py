"""The ``[generate]`` table of a strategy: whether, by what and how much is generated for its users."""

from __future__ import annotations

import math
from dataclasses import dataclass

from aigc.errors import InvalidInputError

__all__ = ["CreationRecipe"]


@dataclass(frozen=True, slots=True)
class CreationRecipe:
    """Off unless a strategy switches it on.

    Attributes:
        enabled: May anything be generated for this strategy's users?
        background: May the server generate for them between requests too (see ``[creation]`` of the settings)?
        models: References of generators, ``digits`` or ``poems@champion``; empty for every model that can.
        describe_with: Reference of the text model that writes titles and descriptions of generated pictures; empty for
            none, so that a title says what was asked for.
        adventure: From 0, near what the user likes, to 1, far from it.
        least_events: Positive events below which a profile says too little to generate for.
        least_relevance: Mean nearness of the best existing unseen items to the profile, below which the catalogue is
            thin for this user; 1 is as near as what the user likes lies to the rest of its taste.
        least_coverage: Share of the profile's weight on categories that still have enough unseen items, below which
            the catalogue is thin; in [0, 1].
        enough_items: Unseen items of a category that are enough.
        per_user_day: Items generated for one user in 24 hours.
        per_day: Items generated for all users in 24 hours.
        candidates: Candidates tried for each item wanted.
        least_quality: Quality below which a candidate is refused, in [0, 1].
        duplicate_distance: Root mean square difference (0 to 255) of pictures in one place, brightness and contrast,
            below which one is a copy of the other.
        most_copied: Share of a text's windows that may stand in known texts.
        unsupported_claims: ``refuse``, ``mark`` or ``allow`` numbers and names that no source item supports.
        fiction: Classes and categories whose texts claim nothing, separated by commas.
        blocked_terms: Separated by commas.
        blocked_patterns: RE2 expressions, one a line.
        review: ``none``, or ``before``: nothing is recommended before a person approved it.
        share_over_time: Part of all that is shown over ``share_hours`` that generated items may fill, in [0, 1].
        share_hours: Over how long.
        adapt_share: Lower the share of generated items where people like them less than the rest.
        explore_slots: Places of a list in which new generated items are tried.
        limits: What this strategy does not do, shown to its operators.
    """

    enabled: bool = False
    background: bool = False
    models: str = ""
    describe_with: str = ""
    adventure: float = 0.3
    least_events: int = 3
    least_relevance: float = 0.5
    least_coverage: float = 0.7
    enough_items: int = 10
    per_user_day: int = 20
    per_day: int = 10_000
    candidates: int = 4
    least_quality: float = 0.02
    duplicate_distance: float = 8.0
    most_copied: float = 0.6
    unsupported_claims: str = "refuse"
    fiction: str = ""
    blocked_terms: str = ""
    blocked_patterns: str = ""
    review: str = "none"
    share_over_time: float = 0.5
    share_hours: float = 24.0
    adapt_share: bool = True
    explore_slots: int = 0
    limits: str = ""

    def __post_init__(self) -> None:
        """Refuse values without a meaning."""
        for name in (
            "adventure",
            "least_relevance",
            "least_coverage",
            "least_quality",
            "most_copied",
            "share_over_time",
        ):
            value = getattr(self, name)
            if not (math.isfinite(value) and 0 <= value <= 1):
                _refuse(name, value, "a number from 0 to 1")
        for name in ("least_events", "enough_items", "per_user_day", "per_day", "explore_slots"):
            if getattr(self, name) < 0:
                _refuse(name, getattr(self, name), "0 or more")
        if not 1 <= self.candidates <= 64:
            _refuse("candidates", self.candidates, "1 to 64")
        if self.share_hours <= 0 or self.duplicate_distance < 0:
            _refuse("share_hours", self.share_hours, "a number above 0, and a duplicate_distance of at least 0")
        for name, known in (("unsupported_claims", ("refuse", "mark", "allow")), ("review", ("none", "before"))):
            if getattr(self, name) not in known:
                _refuse(name, getattr(self, name), f"one of {', '.join(known)}")

    @property
    def model_references(self) -> tuple[str, ...]:
        """The models, one by one."""
        return _listed(self.models)

    @property
    def fiction_names(self) -> tuple[str, ...]:
        """The exempt classes and categories."""
        return _listed(self.fiction)

    @property
    def terms(self) -> tuple[str, ...]:
        """The blocked terms."""
        return _listed(self.blocked_terms)

    @property
    def patterns(self) -> tuple[str, ...]:
        """The blocked patterns."""
        return tuple(line.strip() for line in self.blocked_patterns.splitlines() if line.strip())


def _listed(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


def _refuse(name: str, value: object, wanted: str) -> None:
    raise InvalidInputError(f"generate.{name} is {value!r}; give {wanted}", field=f"generate.{name}")
