"""What a user writes about, and how they speak of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from aigc.entities import Topic
from aigc.profiles.evidence import Evidence

__all__ = ["TopicModel", "find_topics"]

_NEWEST = 200
_MIN_SHARE = 0.05
_LIMIT = 10
# What the discussed item is filed under counts beside what the text itself says.
_ITEM_WEIGHT = 0.5


class TopicModel(Protocol):
    """Texts → chances of topics."""

    @property
    def categories(self) -> Sequence[str]:
        """The names of the topics."""
        ...

    def topics(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """(n, topics) float32; zeros where nothing can be told."""
        ...


def find_topics(evidence: Evidence, model: TopicModel, sentiment: Callable[[str], float]) -> tuple[Topic, ...]:
    """Topics of the newest 200 comments, largest share first, each at least a twentieth.

    Args:
        evidence: What the user did; events with a text are comments.
        model: Knows topics.
        sentiment: A text's, in [-1, 1].
    """
    written = [e for e in evidence.events if e.text.strip()][-_NEWEST:]
    if not written or not model.categories:
        return ()
    chances = model.topics([e.text for e in written]).astype(np.float64)
    rows = {name: row for row, name in enumerate(model.categories)}
    for i, event in enumerate(written):
        item = evidence.items.get(event.item_id)
        known = [rows[c] for c in item.categories if c in rows] if item is not None else []
        if known:
            chances[i] *= 1 - _ITEM_WEIGHT
            chances[i, known] += _ITEM_WEIGHT / len(known)
    told = chances.sum(axis=1) > 0
    if not told.any():
        return ()
    shares = chances[told].sum(axis=0) / chances[told].sum()
    feelings = np.array([sentiment(e.text) for e in written])
    main = np.where(told, chances.argmax(axis=1), -1)
    found = []
    for row in np.flatnonzero(shares >= _MIN_SHARE).tolist():
        weight = chances[:, row]
        own = [written[i].item_id for i in np.flatnonzero(main == row)[::-1]]
        found.append(
            Topic(
                model.categories[row],
                float(shares[row]),
                int((main == row).sum()),
                float((feelings * weight).sum() / weight.sum()),
                tuple(dict.fromkeys(own))[:5],
            )
        )
    found.sort(key=lambda t: (-t.weight, t.name))
    return tuple(found[:_LIMIT])
