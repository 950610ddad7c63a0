"""What can be told of items by modality: the evidence that categories are learned and predicted from."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aigc.entities import Item, ItemContent
from aigc.features.picture_features import picture_features
from aigc.features.sound_features import SOUND_FEATURES, decode_features

__all__ = ["Contents", "Seen", "read_evidence"]

_MAX_TEXTS = 40_000
_MAX_PICTURES = 10_000
_MAX_SOUNDS = 5_000
# Other speakers' voices, heard while fitting and while predicting.
_WARPS = (0.9, 1.0, 1.1)

Contents = Callable[[Sequence[str]], Iterator[tuple[str, ItemContent]]]


@dataclass(frozen=True, slots=True)
class Seen:
    """What one modality shows of some items.

    Attributes:
        rows: (n,) int64, which items.
        views: Texts, or (n, views, features) float32: a recording is heard at several warps.
    """

    rows: NDArray[np.int64]
    views: list[str] | NDArray[np.float32]

    def where(self, keep: NDArray[np.bool_]) -> Seen:
        """The same of those rows only."""
        kept = np.flatnonzero(keep)
        views = [self.views[i] for i in kept] if isinstance(self.views, list) else self.views[kept]
        return Seen(self.rows[kept], views)


def read_evidence(items: Sequence[Item], contents: Contents, *, bounded: bool) -> dict[str, Seen]:
    """What the items say, show and sound like.

    Args:
        items: In any order.
        contents: Gives the contents of those among the ids that have one.
        bounded: Of more than 40,000 texts, 10,000 pictures or 5,000 recordings take the first.
    """
    most = (_MAX_TEXTS, _MAX_PICTURES, _MAX_SOUNDS) if bounded else (len(items),) * 3
    texts = [(row, text) for row, item in enumerate(items) if (text := _words(item)).strip()][: most[0]]
    row_of = {item.id: row for row, item in enumerate(items)}
    pictures: list[tuple[int, bytes]] = []
    sounds: list[tuple[int, NDArray[np.float32]]] = []
    for item_id, content in contents(list(row_of)):
        if content.media_type.startswith("image/") and len(pictures) < most[1]:
            pictures.append((row_of[item_id], content.data))
        elif content.media_type.startswith("audio/") and len(sounds) < most[2]:
            heard = [decode_features(content.data, warp) for warp in _WARPS]
            if all(view is not None for view in heard):
                sounds.append((row_of[item_id], np.array(heard, np.float32)))
    features, good = picture_features([data for _, data in pictures])
    return {
        "text": Seen(np.array([row for row, _ in texts], np.int64), [text for _, text in texts]),
        "picture": Seen(np.array([row for row, _ in pictures], np.int64)[good], features[good][:, None]),
        "sound": Seen(
            np.array([row for row, _ in sounds], np.int64),
            np.array([views for _, views in sounds], np.float32).reshape(len(sounds), len(_WARPS), SOUND_FEATURES),
        ),
    }


def _words(item: Item) -> str:
    """What a category may be told by: not the categories themselves, nor names that only number a file."""
    title = "" if item.content is not None and not item.text and not item.tags else item.title
    return " \n ".join(part for part in (title, item.text, *item.tags) if part)
