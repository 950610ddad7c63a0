"""What the duplicate gates know: the catalogue's pictures and texts, kept up to date by revision."""

from __future__ import annotations

import threading
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from aigc.creation.gates.duplicate import PictureDuplicateGate, TextDuplicateGate
from aigc.entities import Item
from aigc.prepare.picture import BadPictureError, decode_picture
from aigc.store.base import Store

__all__ = ["KnownContent"]


class KnownContent:
    """Reads what is new in the store before each use; thread-safe."""

    def __init__(self, store: Store, *, distance: float, most_copied: float) -> None:
        """Args: store: read; distance, most_copied: the gates' limits."""
        self.pictures = PictureDuplicateGate(distance)
        self.texts = TextDuplicateGate(most_copied)
        self._store = store
        self._revision = 0
        self._lock = threading.Lock()

    def refresh(self) -> None:
        """Learn what was written since the last time."""
        with self._lock:
            for batch in self._store.iterate_items(since_revision=self._revision):
                items = [entry for _, entry in batch if isinstance(entry, Item)]
                self.texts.add([item.text for item in items if item.text])
                self._learn_pictures(items)
                self._revision = batch[-1][0]

    def _learn_pictures(self, items: Iterable[Item]) -> None:
        ids, pictures = list[str](), list[NDArray[np.uint8]]()
        for item_id, content in self._store.iterate_contents([item.id for item in items]):
            if content.media_type.startswith("image/"):
                try:
                    pictures.append(np.asarray(decode_picture(content.data)))
                except BadPictureError:
                    continue
                ids.append(item_id)
        self.pictures.add(ids, pictures)
