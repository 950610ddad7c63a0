"""Items → the category they most likely belong to, by what they say, show and sound like."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from aigc.entities import Item, ItemContent
from aigc.errors import CorruptDataError
from aigc.features.kernel_classifier import KernelClassifier
from aigc.features.picture_features import picture_features
from aigc.features.saved import read_arrays
from aigc.features.sound_features import SOUND_FEATURES, decode_features
from aigc.features.text_classifier import TextClassifier

__all__ = ["CategoryClassifier"]

_MAX_CATEGORIES = 200
_MIN_ITEMS = 3
_MIN_MEDIA = 30
_MAX_PICTURES = 20_000
_MAX_SOUNDS = 5_000
# Other speakers' voices, heard while fitting and while predicting.
_WARPS = (0.9, 1.0, 1.1)

Contents = Callable[[Sequence[str]], Iterator[tuple[str, ItemContent]]]


class CategoryClassifier:
    """One classifier a modality; an item that has several is judged by the mean of their log-probabilities.

    Attributes:
        categories: The classes, most frequent first.
    """

    def __init__(
        self,
        categories: Sequence[str],
        text: tuple[TextClassifier, NDArray[np.int64]] | None,
        picture: tuple[KernelClassifier, NDArray[np.int64]] | None,
        sound: tuple[KernelClassifier, NDArray[np.int64]] | None,
    ) -> None:
        """:meth:`fit` and :meth:`load` are the ways in; a part comes with the rows of the categories it knows."""
        self.categories = tuple(categories)
        self._text = text
        self._picture = picture
        self._sound = sound

    @classmethod
    def fit(cls, items: Sequence[Item], contents: Contents, seed: int = 0) -> CategoryClassifier:
        """Fit on the items that have a category, by the first that each has.

        Args:
            items: The catalogue, without contents.
            contents: Gives the contents of those among the ids that have one, a few at a time.
            seed: Of everything random.
        """
        count = Counter(item.categories[0] for item in items if item.categories)
        categories = [c for c, n in count.most_common(_MAX_CATEGORIES) if n >= _MIN_ITEMS]
        rows = {category: row for row, category in enumerate(categories)}
        known = [item for item in items if item.categories and item.categories[0] in rows]
        if len(categories) < 2:
            return cls(categories, None, None, None)
        labels = np.array([rows[item.categories[0]] for item in known], np.int64)
        texts = [_words(item) for item in known]
        said = np.array([bool(text.strip()) for text in texts], np.bool_)
        text = None
        classes, own = np.unique(labels[said], return_inverse=True)
        if len(classes) > 1:
            text = (TextClassifier.fit([t for t in texts if t.strip()], own, len(classes)), classes)
        order = np.random.default_rng(seed).permutation(len(known))
        label_of = {known[i].id: int(labels[i]) for i in order}
        pictures: list[tuple[bytes, int]] = []
        sounds: list[tuple[NDArray[np.float32], int]] = []
        for item_id, content in contents(list(label_of)):
            if content.media_type.startswith("image/") and len(pictures) < _MAX_PICTURES:
                pictures.append((content.data, label_of[item_id]))
            elif content.media_type.startswith("audio/") and len(sounds) < _MAX_SOUNDS * len(_WARPS):
                heard = [decode_features(content.data, warp) for warp in _WARPS]
                sounds += [(features, label_of[item_id]) for features in heard if features is not None]
        seen, good = picture_features([data for data, _ in pictures])
        shown = np.array([label for _, label in pictures], np.int64)[good]
        heard_labels = np.array([label for _, label in sounds], np.int64)
        picture = sound = None
        classes, own = np.unique(shown, return_inverse=True)
        if len(classes) > 1 and len(own) >= _MIN_MEDIA:
            model = KernelClassifier.fit(seen[good], own, len(classes), standardise=False, seed=seed)
            picture = (model, classes)
        classes, own = np.unique(heard_labels, return_inverse=True)
        if len(classes) > 1 and len(own) >= _MIN_MEDIA:
            heard_rows = np.stack([features for features, _ in sounds])
            sound = (KernelClassifier.fit(heard_rows, own, len(classes), standardise=True, seed=seed), classes)
        return cls(categories, text, picture, sound)

    def predict(self, items: Sequence[Item]) -> NDArray[np.float32]:
        """(n, len(categories)) float32 probabilities; a row of zeros where nothing can be told."""
        total = np.zeros((len(items), len(self.categories)), np.float64)
        votes = np.zeros(len(items), np.int64)
        for rows, chances in self._votes(items):
            total[rows] += np.log(np.maximum(chances, 1e-6))
            votes[rows] += 1
        out = np.exp(total / np.maximum(votes, 1)[:, None])
        out[votes == 0] = 0.0
        return np.asarray(out / np.maximum(out.sum(axis=1, keepdims=True), 1e-9), np.float32)

    def save(self, folder: Path) -> None:
        """Write ``categories.json`` and a folder a modality; ``folder`` exists and is empty."""
        parts = {"text": self._text, "picture": self._picture, "sound": self._sound}
        kept = {name: part for name, part in parts.items() if part is not None}
        described = {"categories": self.categories, "parts": list(kept)}
        (folder / "categories.json").write_text(json.dumps(described, ensure_ascii=False), encoding="utf-8")
        for name, part in kept.items():
            (folder / name).mkdir()
            part[0].save(folder / name)
            np.save(folder / name / "classes.npy", part[1], allow_pickle=False)

    @classmethod
    def load(cls, folder: Path) -> CategoryClassifier:
        """What :meth:`save` wrote.

        Raises:
            CorruptDataError: A file is missing or broken; names it.
        """
        path = folder / "categories.json"
        try:
            described = json.loads(path.read_text(encoding="utf-8"))
            categories, parts = described["categories"], described["parts"]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise CorruptDataError(
                f"{path} cannot be read ({error}); build a new snapshot with `aigc train`", reason="SNAPSHOT_CORRUPT"
            ) from error

        def classes(name: str) -> NDArray[np.int64]:
            return np.asarray(read_arrays(folder / name, "classes")[0], np.int64)

        return cls(
            categories,
            (TextClassifier.load(folder / "text"), classes("text")) if "text" in parts else None,
            (KernelClassifier.load(folder / "picture"), classes("picture")) if "picture" in parts else None,
            (KernelClassifier.load(folder / "sound"), classes("sound")) if "sound" in parts else None,
        )

    def _spread(self, chances: NDArray[np.float32], classes: NDArray[np.int64]) -> NDArray[np.float32]:
        """Over all categories what was said over some."""
        out = np.zeros((len(chances), len(self.categories)), np.float32)
        out[:, classes] = chances
        return out

    def _votes(self, items: Sequence[Item]) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float32]]]:
        if self._text is not None:
            model, classes = self._text
            chances, known = model.probabilities([_words(item) for item in items])
            yield np.flatnonzero(known), self._spread(chances[known], classes)
        if self._picture is not None:
            rows = [i for i, item in enumerate(items) if _is(item, "image/")]
            features, good = picture_features([items[i].content.data for i in rows])  # type: ignore[union-attr]
            if good.any():
                seer, classes = self._picture
                yield np.array(rows, np.int64)[good], self._spread(seer.probabilities(features[good]), classes)
        if self._sound is not None:
            heard = [
                (i, [decode_features(item.content.data, warp) for warp in _WARPS])  # type: ignore[union-attr]
                for i, item in enumerate(items)
                if _is(item, "audio/")
            ]
            good_rows = [(i, features) for i, features in heard if features[0] is not None]
            if good_rows:
                stacked = np.array([features for _, features in good_rows], np.float32).reshape(-1, SOUND_FEATURES)
                hearer, classes = self._sound
                chances = hearer.probabilities(stacked).reshape(len(good_rows), len(_WARPS), -1).mean(axis=1)
                yield np.array([i for i, _ in good_rows], np.int64), self._spread(chances, classes)


def _is(item: Item, kind: str) -> bool:
    return item.content is not None and item.content.media_type.startswith(kind)


def _words(item: Item) -> str:
    """What a category may be told by: not the categories themselves, nor names that only number a file."""
    title = "" if item.content is not None and not item.text and not item.tags else item.title
    return " \n ".join(part for part in (title, item.text, *item.tags) if part)
