"""What every store promises; ``tests/contracts/store.py`` is the suite that each one passes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from aigc.entities import Creation, Event, Item, ItemContent, Preferences

__all__ = ["CreationStore", "EventBatch", "ItemPage", "LoggedRecommendation", "Store", "StoreCounts", "StoredEvent"]


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """An event and its place in the order of acceptance (``seq`` rises, gaps allowed)."""

    seq: int
    event: Event


@dataclass(frozen=True, slots=True)
class EventBatch:
    """A run of events as columns, for training: all sequences have the same length.

    Attributes:
        seqs: (n,) int64, rising.
        user_ids, item_ids, types: n strings each.
        values: (n,) float64, NaN where an event has no value.
        times_ms: (n,) int64.
    """

    seqs: NDArray[np.int64]
    user_ids: Sequence[str]
    item_ids: Sequence[str]
    types: Sequence[str]
    values: NDArray[np.float64]
    times_ms: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class ItemPage:
    """One page of a listing; ``next_page_token`` is empty on the last."""

    items: tuple[Item, ...]
    next_page_token: str
    total: int


@dataclass(frozen=True, slots=True)
class LoggedRecommendation:
    """What was answered to whom, kept so that later events can be judged against it.

    ``propensities`` is item id → probability, of the items that were tried by chance.
    """

    id: str
    user_id: str
    strategy: str
    experiment: str
    snapshot: str
    item_ids: tuple[str, ...]
    created_ms: int
    propensities: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class StoreCounts:
    """How much is stored: live items (hidden ones included), events, users with an event."""

    items: int
    events: int
    users: int


class CreationStore(Protocol):
    """Durable records of what was generated; errors as of :class:`Store`."""

    def put(self, creation: Creation) -> None:
        """Insert or replace by id."""
        ...

    def get(self, creation_or_item_id: str) -> Creation | None:
        """By its own id, or by that of the item it became."""
        ...

    def list(
        self, *, state: str = "", user_id: str = "", limit: int = 100, before: tuple[int, str] | None = None
    ) -> list[Creation]:
        """Newest first; ``before`` is (created_ms, id) of the last one of the previous page."""
        ...

    def count_admitted(self, *, since_ms: int, user_id: str = "") -> int:
        """How many were admitted, or put before a person, since a time; for one user or for all."""
        ...


class Store(Protocol):
    """Durable items, events and preferences.

    Every write returns only when it is on disk. Reads see every write that has returned. All methods may be called
    from any thread. Errors: ``ResourceExhaustedError`` (reason ``DISK_FULL``) when the disk is full,
    ``ConflictError`` (reason ``STORE_LOCKED``) when another process holds the store, ``UnavailableError`` when the
    database does not answer.
    """

    @property
    def creations(self) -> CreationStore:
        """What was generated."""
        ...

    def upsert_items(self, items: Sequence[Item]) -> None:
        """Insert or replace by id. An item with ``content=None`` keeps the content that it has."""
        ...

    def get_items(self, ids: Sequence[str], *, with_content: bool = False) -> dict[str, Item]:
        """The live items among ``ids``, by id; absent and deleted ones are left out."""
        ...

    def list_items(
        self, *, page_size: int, page_token: str = "", kind: str = "", category: str = "", include_hidden: bool = True
    ) -> ItemPage:
        """Live items by id. Raises InvalidInputError for a token this store did not issue."""
        ...

    def delete_items(self, ids: Sequence[str]) -> int:
        """Delete by id, content included; returns how many were live."""
        ...

    def iterate_items(
        self, *, since_revision: int = 0, batch_size: int = 1000, include_deleted: bool = False
    ) -> Iterator[list[tuple[int, Item | str]]]:
        """Batches of (revision, item) in order of revision, every write of an item having raised its revision.

        With ``include_deleted`` a deleted item comes as (revision, its id). Content is left out.
        """
        ...

    def iterate_contents(self, ids: Sequence[str]) -> Iterator[tuple[str, ItemContent]]:
        """The contents of those among ``ids`` that have one, a few at a time in memory."""
        ...

    def record_events(self, events: Sequence[Event]) -> list[bool]:
        """Store the events; True at i when events[i] is new, False when its id was known."""
        ...

    def iterate_events(self, *, since_seq: int = 0, batch_size: int = 50_000) -> Iterator[EventBatch]:
        """All events with seq > ``since_seq`` in order of seq."""
        ...

    def user_events(self, user_id: str, *, limit: int = 0) -> list[StoredEvent]:
        """A user's events by (time, seq), oldest first; with ``limit`` > 0 the newest ``limit`` of them."""
        ...

    def get_preferences(self, user_id: str) -> Preferences | None:
        """What the user declared, or None."""
        ...

    def put_preferences(self, preferences: Preferences) -> None:
        """Replace what the user declared."""
        ...

    def iterate_preferences(self) -> Iterator[Preferences]:
        """Every user's declarations."""
        ...

    def log_recommendations(self, answers: Sequence[LoggedRecommendation]) -> None:
        """Keep what was answered."""
        ...

    def get_recommendation(self, recommendation_id: str) -> LoggedRecommendation | None:
        """An answer by its id, or None."""
        ...

    def iterate_recommendations(self, *, since_ms: int = 0) -> Iterator[list[LoggedRecommendation]]:
        """Answers made at or after a time, oldest first, some thousand at a time."""
        ...

    def positions(self) -> Mapping[str, int]:
        """``event_seq`` and ``item_revision``: the highest of each, 0 when empty."""
        ...

    def counts(self) -> StoreCounts:
        """How much is stored."""
        ...

    def close(self) -> None:
        """Finish what is queued, release the lock; further calls raise UnavailableError."""
        ...
