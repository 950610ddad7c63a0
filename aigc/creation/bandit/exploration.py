"""Places of a list in which new generated items are tried, without ever going over the cap of generated content."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TypeVar

from aigc.creation.bandit.arm import Arm
from aigc.creation.bandit.policy import Bandit, choose_several
from aigc.errors import InvalidInputError

__all__ = ["FRESH_FEATURES", "ExplorationOptions", "Explored", "FreshItem", "Trial", "explore"]

S = TypeVar("S")

_SLACK = 1e-6

FRESH_FEATURES = 5
"""Numbers that describe a new item for a user: what a shared LinUCB of this use is sized for."""


@dataclass(frozen=True, slots=True)
class FreshItem:
    """A new generated item near the user.

    Attributes:
        item_id: Which.
        nearness: Cosine with the nearest of the user's tastes, in [-1, 1].
        quality: By the generator's own scorer, in [0, 1]; 0.5 where there is none.
        shown: How often it was shown to anyone.
        liked: Mean reward of what its generator arm made so far, in [0, 1].
    """

    item_id: str
    nearness: float
    quality: float = 0.5
    shown: int = 0
    liked: float = 0.0

    @property
    def features(self) -> tuple[float, ...]:
        """The numbers that a bandit learns from, the constant first."""
        return (1.0, self.nearness, self.quality, 1 / (1 + self.shown), self.liked)


@dataclass(frozen=True, slots=True)
class ExplorationOptions:
    """Where and how long new items are tried.

    Attributes:
        slots: Places of a list.
        first_place: The earliest of them, from 0; the others follow evenly up to the end.
        most_shown: An item that was shown this often is new no more: it competes like any other.
    """

    slots: int = 1
    first_place: int = 2
    most_shown: int = 20

    def __post_init__(self) -> None:
        """Refuse values without a meaning."""
        for name, least in (("slots", 0), ("first_place", 0), ("most_shown", 1)):
            if getattr(self, name) < least:
                raise InvalidInputError(f"{name} is {getattr(self, name)}; give at least {least}", field=name)


@dataclass(frozen=True, slots=True)
class Trial:
    """What stands in a place for exploration: logged, so that it can be learned from and judged later.

    Attributes:
        item_id: Which item.
        place: Where, from 0.
        propensity: Probability that this place got this item.
        features: Of the item, then.
    """

    item_id: str
    place: int
    propensity: float
    features: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Explored:
    """The list, best first, and the trials in it."""

    items: tuple[str, ...]
    trials: tuple[Trial, ...]


def explore(
    bandit: Bandit[S],
    state: S,
    ranked: Sequence[str],
    generated: Collection[str],
    fresh: Sequence[FreshItem],
    *,
    n: int,
    most_generated: int,
    most_share: float = 1.0,
    seed: int,
    options: ExplorationOptions | None = None,
) -> Explored:
    """Put new items into a ranked list.

    A new item takes its place from the last item that is not generated, or, where the cap of generated items is
    reached, from the last generated one. A list that would be shorter than ``n`` grows instead. Without a place, a cap
    or a new item, the list stays as it is.

    Args:
        bandit: Chooses among the new items; its arms are their ids.
        state: What it has learned.
        ranked: The list, best first.
        generated: Which of it are generated.
        fresh: New items that may be tried; those in the list already, or shown often enough, are passed over.
        n: Places of the list.
        most_generated: Generated items that the list may hold.
        most_share: The same as a part of the list as it comes out, which may be shorter than ``n``; in [0, 1].
        seed: Of the choice.
        options: See :class:`ExplorationOptions`.
    """
    options = options or ExplorationOptions()
    listed = set(ranked)
    arms = [
        Arm(item.item_id, item.features)
        for item in fresh
        if item.item_id not in listed and item.shown < options.most_shown
    ]
    for slots in range(min(options.slots, most_generated, len(arms), n), 0, -1):
        kept = _make_room(ranked[:n], generated, slots, n, most_generated)
        made = slots + sum(item in generated for item in kept)
        if made <= math.floor(most_share * (len(kept) + slots) + _SLACK):
            break
    else:
        return Explored(tuple(ranked[:n]), ())
    trials = []
    for choice, wanted in zip(
        choose_several(bandit, state, arms, slots, seed), _places(options, slots, n), strict=True
    ):
        place = min(wanted, len(kept))
        kept.insert(place, choice.arm.id)
        trials.append(Trial(choice.arm.id, place, choice.propensity, choice.arm.features))
    return Explored(tuple(kept), tuple(trials))


def _make_room(ranked: Sequence[str], generated: Collection[str], slots: int, n: int, most_generated: int) -> list[str]:
    kept = list(ranked)
    made = [item for item in kept if item in generated]
    for item in made[most_generated - slots :]:
        kept.remove(item)
    for item in reversed([item for item in kept if item not in generated]):
        if len(kept) + slots <= n:
            break
        kept.remove(item)
    return kept[: n - slots]


def _places(options: ExplorationOptions, slots: int, n: int) -> list[int]:
    first = min(options.first_place, max(0, n - slots))
    return [first + (i * (n - first)) // slots for i in range(slots)]
