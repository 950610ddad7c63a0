"""Preparing a whole catalogue: near-duplicates marked, categories found for items that have none."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from aigc.entities import Item
from aigc.features.categories import CategoryClassifier
from aigc.prepare.duplicates import DuplicatePair, first_of_group
from aigc.prepare.picture import BadPictureError, decode_picture
from aigc.prepare.picture_duplicates import find_picture_duplicates
from aigc.prepare.sound import BadSoundError, decode_sound
from aigc.prepare.sound_duplicates import find_sound_duplicates
from aigc.prepare.text_duplicates import find_text_duplicates
from aigc.services.catalog import Catalog
from aigc.store.base import Store

__all__ = ["DUPLICATE_OF", "Preparation", "PreparationReport"]

DUPLICATE_OF = "duplicate_of"
PREDICTED = "category_predicted"
_BATCH = 500
_THUMBNAIL = 128
_LEAST_TEXT = 20


@dataclass(slots=True)
class PreparationReport:
    """What was found.

    Attributes:
        items: Items looked at.
        duplicates: Modality → item id → (id of the first like it).
        categories: Item id → (category, chance), for items that had none.
    """

    items: int = 0
    duplicates: dict[str, dict[str, str]] = field(default_factory=dict)
    categories: dict[str, tuple[str, float]] = field(default_factory=dict)


class Preparation:
    """Looks at everything that is stored; writes through the catalogue, so that what serves follows."""

    def __init__(self, store: Store, catalog: Catalog) -> None:
        """Args: store: read; catalog: written."""
        self._store = store
        self._catalog = catalog

    def run(self, *, least_chance: float = 0.8, hide: bool = False, apply: bool = True) -> Iterator[tuple[str, float]]:
        """Stages with the fraction done; :attr:`report` is complete at the end.

        Args:
            least_chance: From which a category is believed.
            hide: Hide near-duplicates instead of only marking them.
            apply: Write; without it only the report is made.
        """
        self.report = PreparationReport()
        yield "reading", 0.0
        items = [i for batch in self._store.iterate_items() for _, i in batch if isinstance(i, Item)]
        self.report.items = len(items)
        yield "comparing texts", 0.1
        texts = [i for i in items if len(i.text) >= _LEAST_TEXT]
        self._note("text", texts, find_text_duplicates([i.text for i in texts]))
        yield "comparing pictures", 0.4
        pictures, sounds = [], []
        by_id = {i.id: i for i in items}
        for item_id, content in self._store.iterate_contents(list(by_id)):
            try:
                if content.media_type.startswith("image/"):
                    picture = decode_picture(content.data)
                    picture.thumbnail((_THUMBNAIL, _THUMBNAIL))
                    pictures.append((by_id[item_id], picture))
                elif content.media_type.startswith("audio/"):
                    sounds.append((by_id[item_id], decode_sound(content.data)))
            except (BadPictureError, BadSoundError):
                continue
        self._note("picture", [i for i, _ in pictures], find_picture_duplicates([p for _, p in pictures]))
        yield "comparing recordings", 0.6
        self._note("sound", [i for i, _ in sounds], find_sound_duplicates([s for _, s in sounds]))
        yield "learning categories", 0.7
        lacking = [i for i in items if not i.categories]
        if lacking:
            classifier = CategoryClassifier.fit(items, self._store.iterate_contents)
            for start in range(0, len(lacking), _BATCH):
                part = lacking[start : start + _BATCH]
                complete = self._store.get_items([i.id for i in part], with_content=True)
                chances = classifier.predict([complete.get(i.id, i) for i in part])
                for item, row in zip(part, chances, strict=True):
                    if row.size and row.max() >= least_chance:
                        self.report.categories[item.id] = (classifier.categories[int(row.argmax())], float(row.max()))
        yield "writing", 0.9
        if apply:
            changed = [new for item in items if (new := self._changed(item, hide)) is not item]
            for start in range(0, len(changed), _BATCH):
                self._catalog.upsert(changed[start : start + _BATCH])
        yield "done", 1.0

    def _note(self, modality: str, items: Sequence[Item], pairs: Sequence[DuplicatePair]) -> None:
        first = first_of_group(pairs, len(items))
        found = {items[i].id: items[int(f)].id for i, f in enumerate(first) if f != i}
        if items:
            self.report.duplicates[modality] = found

    def _changed(self, item: Item, hide: bool) -> Item:
        original = next((found[item.id] for found in self.report.duplicates.values() if item.id in found), None)
        attributes = {k: v for k, v in item.attributes.items() if k != DUPLICATE_OF}
        if original is not None:
            attributes[DUPLICATE_OF] = original
        categories = item.categories
        if item.id in self.report.categories:
            name, chance = self.report.categories[item.id]
            categories, attributes[PREDICTED] = (name,), f"{chance:.2f}"
        hidden = item.hidden or (hide and original is not None)
        new = replace(item, attributes=attributes, categories=categories, hidden=hidden)
        return item if new == item else new
