"""Bulk import: whatever a reader yields goes into the store in batches; what is wrong goes to the rejects."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable
from concurrent.futures import Future
from dataclasses import asdict, dataclass

from aigc.collect.checkpoint import ImportCheckpoint
from aigc.collect.rejects import Rejects
from aigc.collect.text_source import START, Position
from aigc.entities import Event, Item
from aigc.errors import InvalidInputError
from aigc.prepare.event_pipeline import EventPipeline
from aigc.prepare.pipeline import ItemPipeline, RefusedError
from aigc.services.behaviour import Behaviour
from aigc.services.catalog import Catalog

__all__ = ["ImportCount", "Importer"]

_EVENTS = 1000
_ITEMS = 500
_ITEM_BYTES = 8_000_000
# As many rows as a transaction may hold: a commit writes nearly every page of the indexes, however many rows it has.
_WAITING = 100


@dataclass(slots=True)
class ImportCount:
    """How an import went: ``known`` events were in the store before; ``rejected`` ones failed validation here."""

    accepted: int = 0
    known: int = 0
    rejected: int = 0


class Importer:
    """Writes through the same services as the API, so that the same rules hold."""

    def __init__(
        self,
        catalog: Catalog,
        behaviour: Behaviour,
        rejects: Rejects,
        *,
        pipeline: ItemPipeline | None = None,
        event_pipeline: EventPipeline | None = None,
        checkpoint: ImportCheckpoint | None = None,
    ) -> None:
        """Wire.

        Args:
            catalog: Where items go.
            behaviour: Where events go.
            rejects: Told of each entry that is refused, by its line where the source knows it.
            pipeline: Cleans each item on its way.
            event_pipeline: Cleans each batch of events on its way.
            checkpoint: Told how far all is on disk; its counts go on.
        """
        self._catalog = catalog
        self._behaviour = behaviour
        self._rejects = rejects
        self._pipeline = pipeline
        self._event_pipeline = event_pipeline
        self._checkpoint = checkpoint

    def items(self, items: Iterable[Item]) -> ImportCount:
        """Insert or replace all items."""
        count, batch, size = self._begin(), list[Item](), 0

        def write() -> None:
            refused = self._catalog.upsert(batch)
            for place, error in refused.items():
                self._refuse(None, batch[place].id, error)
            count.rejected += len(refused)
            count.accepted += len(batch) - len(refused)
            self._note(_position(items), count)

        for item in items:
            try:
                if self._pipeline is not None:
                    item = self._pipeline.apply(item)
                self._catalog.check(item, "item")
            except (InvalidInputError, RefusedError) as error:
                count.rejected += 1
                self._refuse(items, item.id, error)
                continue
            batch.append(item)
            size += len(item.content.data) if item.content else 0
            if len(batch) >= _ITEMS or size >= _ITEM_BYTES:
                write()
                batch, size = [], 0
        write()
        self._end()
        return count

    def events(self, events: Iterable[Event]) -> ImportCount:
        """Record all events; those known by their id are counted and change nothing."""
        count = self._begin()
        batch: list[Event] = []
        waiting: deque[tuple[Future[list[bool]], Position]] = deque()
        latest_ms = time.time() * 1000 + 86_400_000

        def settle(keep: int) -> None:
            while waiting and (len(waiting) > keep or waiting[0][0].done()):
                future, position = waiting.popleft()
                new = future.result()
                count.accepted += sum(new)
                count.known += len(new) - sum(new)
                self._note(position, count)

        for event in events:
            try:
                self._behaviour.check(event, "event", latest_ms)
            except InvalidInputError as error:
                count.rejected += 1
                self._refuse(events, event.id, error)
                continue
            batch.append(event)
            if len(batch) >= _EVENTS:
                waiting.append((self._submit(batch), _position(events)))
                batch = []
                # Batches wait while the next is read, so that reading and writing overlap.
                settle(_WAITING)
        if batch:
            waiting.append((self._submit(batch), _position(events)))
        settle(0)
        self._end()
        return count

    def _submit(self, batch: list[Event]) -> Future[list[bool]]:
        return self._behaviour.submit(batch, checked=True, pipeline=self._event_pipeline)

    def _begin(self) -> ImportCount:
        return ImportCount(**self._checkpoint.counts) if self._checkpoint is not None else ImportCount()

    def _note(self, position: Position, count: ImportCount) -> None:
        if self._checkpoint is not None:
            # What is behind the noted place is not read again, so its refusals must be on disk first.
            self._rejects.flush()
            self._checkpoint.note(position, asdict(count))

    def _end(self) -> None:
        if self._checkpoint is not None:
            self._checkpoint.finish()

    def _refuse(self, source: object, entry_id: str, error: InvalidInputError | RefusedError) -> None:
        line = _position(source).line
        field, value = error.field.rpartition(".")[2], "" if line == 0 else entry_id
        self._rejects.add(line or entry_id, field, value, error.message)


def _position(source: object) -> Position:
    """Where a source stands; one that cannot say is read from its start each time."""
    position = getattr(source, "position", START)
    return position if isinstance(position, Position) else START
