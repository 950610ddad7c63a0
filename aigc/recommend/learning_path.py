"""The order in which things can be learned: what an item requires, and what a learner has mastered."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from aigc.errors import InvalidInputError

__all__ = ["PathRecipe", "blocked_items", "mastered_items", "required_of"]


@dataclass(frozen=True, slots=True)
class PathRecipe:
    """The ``[learning]`` table of a strategy: off unless it is switched on.

    Attributes:
        enabled: Leave out what a user is not ready for.
        attribute: Of an item, the ids of what it requires, separated by commas.
        mastery: Weight of an event, in (0, 1], from which an item counts as mastered: a passed test, a good rating.
    """

    enabled: bool = False
    attribute: str = "requires"
    mastery: float = 0.6

    def __post_init__(self) -> None:
        """Refuse values without a meaning."""
        if not 0 < self.mastery <= 1:
            raise InvalidInputError(
                f"learning.mastery is {self.mastery}; give a number in (0, 1]", field="learning.mastery"
            )
        if not self.attribute:
            raise InvalidInputError(
                "learning.attribute is empty; name an attribute of items", field="learning.attribute"
            )


def required_of(attributes: Mapping[str, str], attribute: str) -> tuple[str, ...]:
    """Ids of what an item requires."""
    return tuple(part.strip() for part in attributes.get(attribute, "").split(",") if part.strip())


def mastered_items(item_ids: Sequence[str], weights: Iterable[float], least: float) -> frozenset[str]:
    """Items of which the newest telling event weighs at least ``least``: who failed again has to learn again.

    Args:
        item_ids: Of the user's events, oldest first.
        weights: Of the same events, in [-1, 1]; 0 tells nothing.
        least: From which an item counts as mastered.
    """
    newest = {i: weight for i, weight in zip(item_ids, weights, strict=True) if weight < 0 or weight >= least}
    return frozenset(item_id for item_id, weight in newest.items() if weight >= least)


def blocked_items(required: Mapping[str, Sequence[str]], mastered: frozenset[str]) -> list[str]:
    """Items of which something required is not mastered; what itself is mastered is no next step either.

    Args:
        required: Item id → ids of what it requires.
        mastered: From :func:`mastered_items`.
    """
    return [item for item, wanted in required.items() if any(w not in mastered for w in wanted)] + sorted(mastered)
