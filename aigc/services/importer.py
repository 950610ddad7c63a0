"""Bulk import: whatever a reader yields goes into the store in batches; what is wrong goes to the rejects."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from dataclasses import dataclass

from aigc.entities import Event, Item
from aigc.errors import InvalidInputError
from aigc.services.behaviour import Behaviour
from aigc.services.catalog import Catalog

__all__ = ["ImportCount", "Importer"]

_EVENTS = 1000
_ITEMS = 500
_ITEM_BYTES = 8_000_000


@dataclass(slots=True)
class ImportCount:
    """How an import went: ``known`` events were in the store before; ``rejected`` ones failed validation here."""

    accepted: int = 0
    known: int = 0
    rejected: int = 0


class Importer:
    """Writes through the same services as the API, so that the same rules hold."""

    def __init__(
        self, catalog: Catalog, behaviour: Behaviour, reject: Callable[[str, InvalidInputError], None]
    ) -> None:
        """Args: reject: told of each entry that is refused, by its id, with the reason."""
        self._catalog = catalog
        self._behaviour = behaviour
        self._reject = reject

    def items(self, items: Iterable[Item]) -> ImportCount:
        """Insert or replace all items."""
        count, batch, size = ImportCount(), [], 0
        for item in items:
            try:
                self._catalog.check(item, "item")
            except InvalidInputError as error:
                count.rejected += 1
                self._reject(item.id, error)
                continue
            batch.append(item)
            size += len(item.content.data) if item.content else 0
            if len(batch) >= _ITEMS or size >= _ITEM_BYTES:
                self._catalog.upsert(batch)
                count.accepted += len(batch)
                batch, size = [], 0
        self._catalog.upsert(batch)
        count.accepted += len(batch)
        return count

    def events(self, events: Iterable[Event]) -> ImportCount:
        """Record all events; those known by their id are counted and change nothing."""
        count = ImportCount()
        batch: list[Event] = []
        waiting: list[Future[list[bool]]] = []
        latest_ms = time.time() * 1000 + 86_400_000

        def settle(keep: int) -> None:
            while len(waiting) > keep:
                new = waiting.pop(0).result()
                count.accepted += sum(new)
                count.known += len(new) - sum(new)

        for event in events:
            try:
                self._behaviour.check(event, "event", latest_ms)
            except InvalidInputError as error:
                count.rejected += 1
                self._reject(event.id, error)
                continue
            batch.append(event)
            if len(batch) >= _EVENTS:
                waiting.append(self._behaviour.submit(batch))
                batch = []
                # A few batches wait while the next is read, so that reading and writing overlap.
                settle(8)
        if batch:
            waiting.append(self._behaviour.submit(batch))
        settle(0)
        return count
