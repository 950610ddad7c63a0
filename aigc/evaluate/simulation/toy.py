"""A world of words: small enough for a test, read without a network."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from aigc.entities import Item
from aigc.evaluate.simulation.world import World

__all__ = ["TOY_ASPECTS", "WordReader", "toy_world"]

TOY_ASPECTS = ("space", "cooking", "garden", "music", "sport", "history")


def toy_world(each: int, seed: int) -> World:
    """``each`` short texts of every topic, whose words tell it.

    Args:
        each: Items an aspect.
        seed: Of their order.
    """
    rng = np.random.default_rng([seed, 5])
    pairs = [(topic, i) for topic in TOY_ASPECTS for i in range(each)]
    items, labels = [], []
    for place, row in enumerate(rng.permutation(len(pairs)).tolist()):
        topic, number = pairs[row]
        items.append(
            Item(
                f"toy-{place:05d}",
                title=f"{topic} story {number}",
                text=f"{topic} {topic}craft {topic}land number{number}",
                categories=(topic,),
                created_ms=1_750_000_000_000 + place,
            )
        )
        labels.append(TOY_ASPECTS.index(topic))
    return World("toy", TOY_ASPECTS, tuple(items), np.eye(len(TOY_ASPECTS))[labels])


class WordReader:
    """Counts the topics' words in title and text; an :class:`aigc.evaluate.simulation.world.AspectReader`."""

    def read(self, items: Sequence[Item]) -> NDArray[np.float64]:
        """See :class:`aigc.evaluate.simulation.world.AspectReader`."""
        counts = np.array([[f"{i.title} {i.text}".lower().count(a) for a in TOY_ASPECTS] for i in items], np.float64)
        counts = counts.reshape(len(items), len(TOY_ASPECTS))
        counts[counts.sum(axis=1) == 0] = 1
        found: NDArray[np.float64] = counts / counts.sum(axis=1, keepdims=True)
        return found
