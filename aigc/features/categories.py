"""Items → the category they most likely belong to, by what they say, show and sound like."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from aigc.entities import Item, ItemContent
from aigc.errors import CorruptDataError
from aigc.features.category_evidence import Contents, Seen, read_evidence
from aigc.features.kernel_classifier import KernelClassifier
from aigc.features.saved import read_arrays
from aigc.features.text_classifier import TextClassifier
from aigc.features.vote_weights import LEAST_CHANCE, fit_vote_weights

__all__ = ["CategoryClassifier"]

_MAX_CATEGORIES = 200
_MIN_ITEMS = 3
_MIN_MEDIA = 30
_HELD_OUT, _MIN_HELD_OUT = 5, 20

Model = TextClassifier | KernelClassifier


class CategoryClassifier:
    """One classifier a modality; where an item has several, each counts as it proved itself on held-out items.

    Attributes:
        categories: The classes, most frequent first.
        weights: Modality → what its vote weighs beside the others'.
    """

    def __init__(
        self,
        categories: Sequence[str],
        parts: Mapping[str, tuple[Model, NDArray[np.int64]]],
        weights: Mapping[str, float],
    ) -> None:
        """:meth:`fit` and :meth:`load` are the ways in; a part comes with the rows of the categories it knows."""
        self.categories = tuple(categories)
        self.weights = dict(weights)
        self._parts = dict(parts)

    @classmethod
    def fit(cls, items: Sequence[Item], contents: Contents, seed: int = 0) -> CategoryClassifier:
        """Fit on the items that have a category, by the first that each has.

        Args:
            items: The catalogue, without contents; of more than 40,000 texts, 10,000 pictures or 5,000 recordings a
                sample.
            contents: Gives the contents of those among the ids that have one, a few at a time.
            seed: Of everything random.
        """
        count = Counter(item.categories[0] for item in items if item.categories)
        categories = [c for c, n in count.most_common(_MAX_CATEGORIES) if n >= _MIN_ITEMS]
        if len(categories) < 2:
            return cls(categories, {}, {})
        order = np.random.default_rng(seed).permutation(len(items))
        rows = {category: row for row, category in enumerate(categories)}
        known = [items[i] for i in order if items[i].categories and items[i].categories[0] in rows]
        labels = np.array([rows[item.categories[0]] for item in known], np.int64)
        evidence = read_evidence(known, contents, bounded=True)
        weights = _held_out_weights(evidence, labels, len(categories), seed)
        parts = {name: part for name, seen in evidence.items() if (part := _fit(name, seen, labels, seed)) is not None}
        return cls(categories, parts, {name: weights.get(name, 1.0) for name in parts})

    def predict(self, items: Sequence[Item]) -> NDArray[np.float32]:
        """(n, len(categories)) float32 probabilities; a row of zeros where nothing can be told."""
        evidence = read_evidence(items, lambda _: _own_contents(items), bounded=False)
        size = (len(items), len(self.categories))
        total, alone, votes = np.zeros(size), np.zeros(size), np.zeros(len(items), np.int64)
        for name, part in self._parts.items():
            rows, chances = _vote(part, evidence[name], len(self.categories))
            logs = np.log(np.maximum(chances, LEAST_CHANCE))
            total[rows] += self.weights[name] * logs
            alone[rows] += logs
            votes[rows] += 1
        # A single voter's word is taken as it is.
        total = np.where((votes > 1)[:, None], total, alone)
        out = np.exp(total - total.max(axis=1, keepdims=True, initial=-np.inf))
        out[votes == 0] = 0.0
        return np.asarray(out / np.maximum(out.sum(axis=1, keepdims=True), 1e-9), np.float32)

    def save(self, folder: Path) -> None:
        """Write ``categories.json`` and a folder a modality; ``folder`` exists and is empty."""
        described = {"categories": self.categories, "weights": self.weights}
        (folder / "categories.json").write_text(json.dumps(described, ensure_ascii=False), encoding="utf-8")
        for name, (model, classes) in self._parts.items():
            (folder / name).mkdir()
            model.save(folder / name)
            np.save(folder / name / "classes.npy", classes, allow_pickle=False)

    @classmethod
    def load(cls, folder: Path) -> CategoryClassifier:
        """What :meth:`save` wrote.

        Raises:
            CorruptDataError: A file is missing or broken; names it.
        """
        path = folder / "categories.json"
        try:
            described = json.loads(path.read_text(encoding="utf-8"))
            categories, weights = described["categories"], {k: float(v) for k, v in described["weights"].items()}
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise CorruptDataError(
                f"{path} cannot be read ({error}); build a new snapshot with `aigc train`", reason="SNAPSHOT_CORRUPT"
            ) from error

        kinds: dict[str, type[TextClassifier] | type[KernelClassifier]] = {"text": TextClassifier}
        parts = {
            name: (
                kinds.get(name, KernelClassifier).load(folder / name),
                np.asarray(read_arrays(folder / name, "classes")[0], np.int64),
            )
            for name in weights
        }
        return cls(categories, parts, weights)


def _own_contents(items: Sequence[Item]) -> Iterator[tuple[str, ItemContent]]:
    return ((item.id, item.content) for item in items if item.content is not None)


def _fit(name: str, seen: Seen, labels: NDArray[np.int64], seed: int) -> tuple[Model, NDArray[np.int64]] | None:
    classes, own = np.unique(labels[seen.rows], return_inverse=True)
    if len(classes) < 2:
        return None
    if isinstance(seen.views, list):
        return TextClassifier.fit(seen.views, own, len(classes)), classes
    if len(own) < _MIN_MEDIA:
        return None
    views = seen.views.shape[1]
    rows = seen.views.reshape(-1, seen.views.shape[2])
    model = KernelClassifier.fit(rows, np.repeat(own, views), len(classes), standardise=name == "sound", seed=seed)
    return model, classes


def _vote(
    part: tuple[Model, NDArray[np.int64]], seen: Seen, categories: int
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Which items a model speaks of, and their chances over all categories."""
    model, classes = part
    if isinstance(model, TextClassifier):
        chances, known = model.probabilities(seen.views if isinstance(seen.views, list) else [])
        rows, chances = seen.rows[known], chances[known]
    else:
        assert not isinstance(seen.views, list)
        n, views, size = seen.views.shape
        rows, chances = seen.rows, model.probabilities(seen.views.reshape(-1, size)).reshape(n, views, -1).mean(axis=1)
    out = np.zeros((len(rows), categories), np.float32)
    out[:, classes] = chances
    return rows, out


def _held_out_weights(
    evidence: Mapping[str, Seen], labels: NDArray[np.int64], categories: int, seed: int
) -> dict[str, float]:
    """Weights by the likelihood of the labels of a fifth of the items, for the modalities that stand side by side."""
    test = np.zeros(len(labels), np.bool_)
    test[::_HELD_OUT] = True
    shared = np.flatnonzero(sum(np.bincount(s.rows, minlength=len(labels)) > 0 for s in evidence.values()) > 1)
    if test[shared].sum() < _MIN_HELD_OUT:
        return {}
    chances = {}
    for name, seen in evidence.items():
        part = _fit(name, seen.where(~test[seen.rows]), labels, seed)
        if part is not None:
            rows, own = _vote(part, seen.where(test[seen.rows]), categories)
            # Silence is an even vote.
            chances[name] = np.full((len(labels), categories), 1.0 / categories)
            chances[name][rows] = own
    asked = shared[test[shared]]
    if len(chances) < 2:
        return {}
    found = fit_vote_weights(np.stack([c[asked] for c in chances.values()]), labels[asked])
    return dict(zip(chances, found.tolist(), strict=True))
