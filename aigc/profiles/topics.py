"""What a user writes about, and how they speak of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from aigc.entities import Topic
from aigc.profiles.evidence import Evidence
from aigc.profiles.mixture import fit_mixture

__all__ = ["TopicModel", "find_topics"]

_NEWEST = 200
_MIN_SHARE = 0.05
_LIMIT = 10
# How often a comment keeps to what the discussed item is filed under, beside what the text itself says.
_ITEM_WEIGHT = 0.5


class TopicModel(Protocol):
    """Texts → likelihoods under topics."""

    @property
    def categories(self) -> Sequence[str]:
        """The names of the topics."""
        ...

    def topics(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """(n, topics) float32, up to a factor a text; zeros where nothing can be told."""
        ...


def find_topics(evidence: Evidence, model: TopicModel, sentiment: Callable[[str], float]) -> tuple[Topic, ...]:
    """Topics of the newest 200 comments together, largest share first, each at least a twentieth.

    Args:
        evidence: What the user did; events with a text are comments.
        model: Knows topics.
        sentiment: A text's, in [-1, 1].
    """
    written = [e for e in evidence.events if e.text.strip()][-_NEWEST:]
    if not written or not model.categories:
        return ()
    likely = model.topics([e.text for e in written]).astype(np.float64)
    rows = {name: row for row, name in enumerate(model.categories)}
    told = likely.sum(axis=1) > 0
    likely[~told] = 1.0
    for i, event in enumerate(written):
        item = evidence.items.get(event.item_id)
        known = [rows[c] for c in item.categories if c in rows] if item is not None else []
        if known:
            tied = np.full(len(rows), (1 - _ITEM_WEIGHT) / len(rows))
            tied[known] += _ITEM_WEIGHT / len(known)
            likely[i] *= tied
            told[i] = True
    if not told.any():
        return ()
    shares, owned = fit_mixture(likely[told])
    chances = np.zeros(likely.shape)
    chances[told] = owned
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
