"""The catalogue: items stored, encoded and findable when the call returns."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace

from aigc.entities import Item
from aigc.errors import InvalidInputError, NotFoundError
from aigc.recommend.live import Live
from aigc.services.limits import Limits
from aigc.store.base import ItemPage, Store

__all__ = ["Catalog"]

_MUTABLE = tuple(f.name for f in fields(Item) if f.name != "id")


class Catalog:
    """Writes go one at a time, so that the store and the Engine see them in the same order."""

    def __init__(self, store: Store, live: Live, limits: Limits) -> None:
        """Args: store: the truth; live: what serves; limits: what a call may hold."""
        self._store = store
        self._live = live
        self._limits = limits
        self._write_lock = threading.Lock()

    def upsert(self, items: Sequence[Item]) -> Mapping[int, InvalidInputError]:
        """Insert or replace by id; later duplicates within one call win. Content that is absent is kept as it was.

        Returns:
            Place → why, of items that a catalogue elsewhere refused by itself; this one takes all or none.

        Raises:
            InvalidInputError: Names the first wrong field; nothing is written then.
        """
        self._limits.check_count(items, "items")
        for i, item in enumerate(items):
            self.check(item, f"items[{i}]")
        unique = list({item.id: item for item in items}.values())
        if not unique:
            return {}
        with self._write_lock:
            self._store.upsert_items(unique)
            # An item whose content was kept needs it for its embedding.
            bare = [i.id for i in unique if i.content is None]
            complete = self._store.get_items(bare, with_content=True) if bare else {}
            self._live.apply_items([complete.get(i.id, i) for i in unique])
        return {}

    def get(self, ids: Sequence[str], *, with_content: bool = False) -> list[Item]:
        """The items in the order of ``ids``.

        Raises:
            NotFoundError: Names the first that does not exist.
        """
        self._limits.check_count(ids, "ids")
        for i, item_id in enumerate(ids):
            self._limits.check_id(item_id, f"ids[{i}]")
        found = self._store.get_items(ids, with_content=with_content)
        for item_id in ids:
            if item_id not in found:
                raise _not_found(item_id)
        return [found[i] for i in ids]

    def list(
        self,
        *,
        page_size: int = 100,
        page_token: str = "",
        kind: str = "",
        category: str = "",
        include_hidden: bool = True,
    ) -> ItemPage:
        """One page by id; a ``page_size`` of 0 means 100, one above the limit means the limit."""
        if page_size < 0:
            raise InvalidInputError(f"page_size is {page_size}; give 0 or more", field="page_size")
        return self._store.list_items(
            page_size=min(page_size or 100, self._limits.batch),
            page_token=page_token,
            kind=kind,
            category=category,
            include_hidden=include_hidden,
        )

    def update(self, item: Item, mask: Sequence[str]) -> Item:
        """Replace the fields named in ``mask`` (all of them for ``*``), and give the item as it is now.

        Raises:
            NotFoundError: No such item.
            InvalidInputError: The mask is empty or names no field of an item, or a value is wrong.
        """
        if not mask:
            raise InvalidInputError(
                f"update_mask is empty; name at least one of {', '.join(_MUTABLE)}, or *", field="update_mask"
            )
        names = list(_MUTABLE) if list(mask) == ["*"] else list(mask)
        for name in names:
            if name not in _MUTABLE:
                raise InvalidInputError(
                    f"update_mask names {name!r}; an item's fields are {', '.join(_MUTABLE)}", field="update_mask"
                )
        self.check(item, "item")
        with self._write_lock:
            old = self._store.get_items([item.id], with_content=True).get(item.id)
            if old is None:
                raise _not_found(item.id)
            new = replace(old, **{name: getattr(item, name) for name in names})
            self._store.upsert_items([new])
            self._live.apply_items([new])
        return new

    def delete(self, ids: Sequence[str]) -> int:
        """Delete by id; gives how many existed."""
        self._limits.check_count(ids, "ids")
        for i, item_id in enumerate(ids):
            self._limits.check_id(item_id, f"ids[{i}]")
        with self._write_lock:
            deleted = self._store.delete_items(ids)
            self._live.delete_items(ids)
        return deleted

    def check(self, item: Item, path: str) -> None:
        """Raise InvalidInputError naming the first wrong field of an item under ``path``."""
        limits = self._limits
        limits.check_id(item.id, f"{path}.id")
        limits.check_id(item.kind, f"{path}.kind")
        for name in ("title", "text", "author", "language"):
            limits.check_text(getattr(item, name), f"{path}.{name}")
        limits.check_names(item.categories, f"{path}.categories")
        limits.check_names(item.tags, f"{path}.tags")
        for key, value in item.attributes.items():
            limits.check_id(key, f"{path}.attributes")
            limits.check_text(value, f"{path}.attributes[{key}]")
        if item.content is not None:
            limits.check_id(item.content.media_type, f"{path}.content.media_type")
            size = len(item.content.data)
            if size == 0:
                raise InvalidInputError(
                    f"{path}.content.data is empty; leave content out", field=f"{path}.content.data"
                )
            if size > limits.content_bytes:
                raise InvalidInputError(
                    f"{path}.content.data has {size} bytes; at most {limits.content_bytes} are allowed",
                    field=f"{path}.content.data",
                )


def _not_found(item_id: str) -> NotFoundError:
    return NotFoundError(
        f"item {item_id!r} does not exist; list what does with ListItems",
        reason="ITEM_NOT_FOUND",
        metadata={"item_id": item_id[:256]},
    )
