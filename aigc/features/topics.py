"""Texts of a few words → what they are about, among the categories of the catalogue."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from aigc.entities import Item
from aigc.errors import CorruptDataError
from aigc.features.text_classifier import TextClassifier

__all__ = ["TopicClassifier"]

_MAX_CATEGORIES = 200
_MIN_ITEMS = 3
_MAX_TEXTS = 20_000


class TopicClassifier:
    """A text classifier for comments, learned from items whole and line by line, as short as comments are.

    Attributes:
        categories: The topics, most frequent first.
    """

    def __init__(self, categories: Sequence[str], model: TextClassifier | None) -> None:
        """:meth:`fit` and :meth:`load` are the ways in."""
        self.categories = tuple(categories)
        self._model = model

    @classmethod
    def fit(cls, items: Sequence[Item], seed: int = 0) -> TopicClassifier:
        """Fit on the items that have words and a category, by the first that each has.

        Args:
            items: The catalogue; of more than 10,000 a sample.
            seed: Of the sample.
        """
        said = [i for i in items if i.categories and _words(i)]
        count = Counter(item.categories[0] for item in said)
        categories = [c for c, n in count.most_common(_MAX_CATEGORIES) if n >= _MIN_ITEMS]
        if len(categories) < 2:
            return cls((), None)
        rows = {category: row for row, category in enumerate(categories)}
        rng = np.random.default_rng(seed)
        known = [i for i in said if i.categories[0] in rows]
        whole = [(_words(known[k]), rows[known[k].categories[0]]) for k in rng.permutation(len(known))]
        lines = [
            (line, rows[i.categories[0]])
            for i in known
            for line in i.text.splitlines()
            if line.strip() and "\n" in i.text.strip()
        ]
        kept = whole[: _MAX_TEXTS // 2] + [lines[k] for k in rng.permutation(len(lines))[: _MAX_TEXTS // 2]]
        present = np.unique([row for _, row in kept])
        if len(present) < 2:
            return cls((), None)
        labels = np.searchsorted(present, [row for _, row in kept])
        model = TextClassifier.fit([text for text, _ in kept], labels, len(present))
        return cls([categories[row] for row in present], model)

    def topics(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """(n, topics) float32: how likely each text is under each topic, beside its likelihood over all.

        That is the topic's chance by the share of the topic, so that a small topic is not drowned by a large one.
        Zeros where a text has no known word.
        """
        if self._model is None or not texts:
            return np.zeros((len(texts), len(self.categories)), np.float32)
        chances, known = self._model.probabilities(texts)
        return np.asarray(chances / self._model.shares * known[:, None], np.float32)

    def save(self, folder: Path) -> None:
        """Write ``topics.json`` and the model beside it; ``folder`` exists and is empty."""
        (folder / "topics.json").write_text(json.dumps(self.categories, ensure_ascii=False), encoding="utf-8")
        if self._model is not None:
            self._model.save(folder)

    @classmethod
    def load(cls, folder: Path) -> TopicClassifier:
        """What :meth:`save` wrote.

        Raises:
            CorruptDataError: A file is missing or broken; names it.
        """
        path = folder / "topics.json"
        try:
            categories = [str(name) for name in json.loads(path.read_text(encoding="utf-8"))]
        except (OSError, ValueError, TypeError) as error:
            raise CorruptDataError(
                f"{path} cannot be read ({error}); build a new snapshot with `aigc train`", reason="SNAPSHOT_CORRUPT"
            ) from error
        return cls(categories, TextClassifier.load(folder) if categories else None)


def _words(item: Item) -> str:
    return " \n ".join(part for part in (item.title, item.text, *item.tags) if part.strip())
