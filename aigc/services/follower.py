"""Follows what other replicas write into the same database, so that it counts here too."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from contextlib import suppress

from aigc.entities import Item
from aigc.errors import AigcError
from aigc.recommend.live import Live
from aigc.services.observer import Observer
from aigc.store.base import EventBatch
from aigc.store.changes import Change, Changes
from aigc.store.sql import SqlStore

__all__ = ["Follower"]

_WAIT_S = 0.2
_RETRY_S = 0.5
# Nothing is lost when an announcement is: everything is looked for this often anyway.
_LOOK_S = 5.0
_log = logging.getLogger(__name__)


class Follower:
    """A thread that reads the events and items that are new and brings them into service, its own among them.

    Events are read in the order of their acceptance and each exactly once, whoever wrote them: what learns from events
    hangs here. What this process wrote itself is in service before; bringing it twice changes nothing.
    """

    def __init__(self, store: SqlStore, live: Live, learn: Callable[[EventBatch], None]) -> None:
        """Begin at what is stored now, and start. Args: learn: told of each event once."""
        self._store = store
        self._live = live
        self._learn = learn
        self.observer = Observer()
        positions = store.positions()
        self._event_seq = positions["event_seq"]
        self._revision = positions["item_revision"]
        self._closing = threading.Event()
        self._problem = ""
        self._thread = threading.Thread(target=self._run, name="follower", daemon=True)
        self._thread.start()

    def problems(self) -> tuple[str, ...]:
        """Why it does not follow now, if it does not."""
        return (self._problem,) if self._problem else ()

    def close(self) -> None:
        """Follow no more."""
        self._closing.set()
        self._thread.join()

    def look(self, told: Change | None = None) -> None:
        """Bring in what is new; ``told`` is the announcement that says so.

        Raises:
            AigcError: The store cannot be read.
        """
        theirs = told is not None and told.origin != self._store.origin
        if told is None or told.kind == "events":
            self._events(told.time_ms if told is not None and theirs else 0)
        if told is None or (told.kind == "items" and theirs):
            self._items()
        if told is not None and told.kind == "preferences" and theirs:
            declared = self._store.get_preferences(told.user_id)
            if declared is not None:
                self._live.apply_preferences(declared)

    def _events(self, told_ms: int) -> None:
        for batch in self._store.iterate_events(since_seq=self._event_seq):
            self._live.apply_events(batch)
            self._learn(batch)
            self._event_seq = int(batch.seqs[-1])
            if told_ms:
                self.observer.followed(len(batch.seqs), max(0.0, time.time() - told_ms / 1000))

    def _items(self) -> None:
        for batch in self._store.iterate_items(since_revision=self._revision, include_deleted=True):
            changed = [entry.id for _, entry in batch if isinstance(entry, Item)]
            self._live.apply_items(list(self._store.get_items(changed, with_content=True).values()))
            self._live.delete_items([entry for _, entry in batch if isinstance(entry, str)])
            self._revision = batch[-1][0]

    def _run(self) -> None:
        while not self._closing.is_set():
            try:
                changes = self._store.changes()
                try:
                    self._problem = ""
                    self._listen(changes)
                finally:
                    changes.close()
            except AigcError as error:
                self._problem = f"what other replicas write is not followed: {error.message}"
                _log.warning("%s", self._problem)
                # Without the announcements what is new is still looked for.
                with suppress(AigcError):
                    self.look()
                self._closing.wait(_RETRY_S)

    def _listen(self, changes: Changes) -> None:
        looked = 0.0
        while not self._closing.is_set():
            if time.monotonic() - looked > _LOOK_S:
                self.look()
                looked = time.monotonic()
            for told in _each_kind(changes.wait(_WAIT_S)):
                self.look(told)


def _each_kind(told: list[Change]) -> list[Change]:
    """One announcement of each kind and origin is enough, the oldest; preferences are of one user each."""
    first: dict[tuple[str, str, str], Change] = {}
    for change in told:
        first.setdefault((change.kind, change.origin, change.user_id), change)
    return list(first.values())
