"""Leanings to categories, tags and authors."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from aigc.entities import Affinity, Item
from aigc.profiles.evidence import Evidence

__all__ = ["Aversion", "affinities", "aversions"]

LONG_DAYS = 90.0
SHORT_DAYS = 7.0
_MIN_EVENTS = 4
_LOWER_BY = 0.25
# Standard errors of the difference (Welch 1947) below which it may be chance.
_BEYOND_CHANCE = 2.0

Names = Callable[[Item], Sequence[str]]


@dataclass(frozen=True, slots=True)
class Aversion:
    """A category that a user likes less than what else they meet: ``gap`` is by how much, in weight."""

    name: str
    gap: float
    events: int
    item_ids: tuple[str, ...]


def affinities(evidence: Evidence, names: Names, *, limit: int = 0) -> tuple[Affinity, ...]:
    """Shares of the positive weight, strongest first; each event's weight is divided among the item's names.

    What is disliked does not lower a share: :func:`aversions` tells of it.

    Args:
        evidence: What the user did.
        names: Of an item, those to lean to.
        limit: How many at most; 0 for all.
    """
    long, short = defaultdict[str, float](float), defaultdict[str, float](float)
    count, first = defaultdict[str, int](int), dict[str, int]()
    faded, fresh = evidence.decayed(LONG_DAYS).tolist(), evidence.decayed(SHORT_DAYS).tolist()
    for event, slow, fast in zip(evidence.events, faded, fresh, strict=True):
        item = evidence.items.get(event.item_id)
        own = names(item) if item is not None and slow > 0 else ()
        for name in own:
            long[name] += slow / len(own)
            short[name] += fast / len(own)
            count[name] += 1
            first.setdefault(name, event.time_ms)
    total, recent_total = sum(long.values()), sum(short.values())
    found = [
        Affinity(name, w / total, short[name] / recent_total, count[name], first[name]) for name, w in long.items()
    ]
    found.sort(key=lambda a: (-a.weight, a.name))
    return tuple(found[:limit] if limit else found)


def aversions(evidence: Evidence) -> tuple[Aversion, ...]:
    """Categories whose mean weight lies well below the mean of the user's other events, strongest first.

    Below the user's own mean, not below zero: who gives three stars to everything dislikes nothing, and who gives
    three to one kind and five to the rest likes it less. By more than two standard errors, lest chance speak.
    """
    rows: dict[str, list[int]] = defaultdict(list)
    for row, (event, weight) in enumerate(zip(evidence.events, evidence.weights.tolist(), strict=True)):
        item = evidence.items.get(event.item_id)
        for category in item.categories if item is not None and weight != 0 else ():
            rows[category].append(row)
    judged = evidence.weights != 0
    found = []
    for name, places in rows.items():
        own = evidence.weights[places]
        ids = [evidence.events[row].item_id for row in places if evidence.weights[row] < 0]
        if len(own) < _MIN_EVENTS or not ids:
            continue
        others = judged.copy()
        others[places] = False
        rest = evidence.weights[others]
        if len(rest):
            gap = float(rest.mean() - own.mean())
            least = max(_LOWER_BY, _BEYOND_CHANCE * float(own.var() / len(own) + rest.var() / len(rest)) ** 0.5)
        else:
            gap, least = float(-own.mean()), 0.0
        if gap > 0 and gap >= least:
            found.append(Aversion(name, gap, len(own), tuple(dict.fromkeys(reversed(ids)))[:5]))
    return tuple(sorted(found, key=lambda a: (-a.gap, a.name)))
