"""What is serving now: an engine state, the encoder and the vector index of one snapshot, kept up to date."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aigc.entities import Item, Preferences
from aigc.errors import CorruptDataError
from aigc.features.base import Encoder
from aigc.features.registry import load_encoder
from aigc.features.topics import TopicClassifier
from aigc.index.manifest import Manifest
from aigc.index.snapshot import OpenSnapshot, SnapshotFolder
from aigc.index.vector_index import VectorIndex
from aigc.kernel import Engine, State
from aigc.profiles.weights import EventWeights
from aigc.recommend.empty import empty_arrays
from aigc.store.base import EventBatch, Store

__all__ = ["Live", "Serving"]


@dataclass(slots=True)
class Serving:
    """One snapshot in service; everything but ``event_seq`` is fixed."""

    state: State
    manifest: Manifest | None
    encoder: Encoder | None
    index: VectorIndex | None
    event_seq: int
    topics: TopicClassifier | None = None

    @property
    def snapshot_id(self) -> str:
        """Empty while no snapshot was ever built."""
        return self.manifest.id if self.manifest else ""

    @property
    def models(self) -> dict[str, str]:
        """Model name → version."""
        return self.manifest.model_versions if self.manifest else {}

    def encode(self, items: Sequence[Item]) -> NDArray[np.float32]:
        """(n, embedding_size) float32; zeros while there is no encoder."""
        if self.encoder is None:
            return np.zeros((len(items), 1), np.float32)
        return self.encoder.encode(items)

    def embeddings(self, item_ids: Sequence[str]) -> NDArray[np.float32]:
        """(n, embedding_size) float32 of items by id; zeros for those that are not in service."""
        rows = np.array([self.state.item_row(i) for i in item_ids], np.int64)
        found = np.zeros((len(rows), self.state.embedding_size), np.float32)
        if (rows >= 0).any():
            found[rows >= 0] = self.state.embeddings(rows[rows >= 0].astype(np.uint32))
        return found


class Live:
    """Owns the Engine: publishes snapshots into it and applies every write on top.

    Readers take :attr:`serving` once and use that; it never changes under them. Writers go one at a time.
    """

    def __init__(self, store: Store, snapshots: SnapshotFolder, weights: EventWeights, *, idle: bool = False) -> None:
        """Start empty: :meth:`open_empty` or :meth:`publish` comes next, unless it is to stay ``idle``."""
        self._idle = idle
        self._store = store
        self._snapshots = snapshots
        self._weights = weights
        self._apply_lock = threading.Lock()
        self._publish_lock = threading.Lock()
        self.engine = Engine()
        # Called with writers held off: it must be quick, and write nothing.
        self.on_swap: Callable[[], None] = _nothing
        self.serving = self._start(None)

    def publish(self, snapshot_id: str = "", *, verify: bool = True) -> Serving:
        """Open a snapshot (the published one by default), replay what is newer, and swap it in.

        What was serving goes on until the swap, and for ever when this raises.

        Raises:
            NotFoundError: Nothing was published.
            CorruptDataError: A file does not match; names it.
        """
        with self._publish_lock:
            opened = self._snapshots.open(snapshot_id, verify=verify)
            return self._swap(self._start(opened))

    def open_empty(self) -> Serving:
        """Serve without a snapshot: what is stored is listed as new, with no models and no embeddings."""
        with self._publish_lock:
            return self._swap(self._start(None))

    def apply_items(self, items: Sequence[Item]) -> None:
        """Make stored items findable, with their present content, titles, categories and flags."""
        if not items or self._idle:
            return
        with self._apply_lock:
            _upsert(self.serving, items)

    def delete_items(self, ids: Sequence[str]) -> None:
        """Make items unfindable."""
        with self._apply_lock:
            self.serving.state.delete_items(list(ids))

    def apply_events(self, batch: EventBatch) -> None:
        """Add stored events to their users' histories; those applied before are left out.

        Events of other processes that were stored before these are read from the store first, so that none is skipped.
        """
        with self._apply_lock:
            serving = self.serving
            if len(batch.seqs) and int(batch.seqs[0]) > serving.event_seq + 1:
                for missed in self._store.iterate_events(since_seq=serving.event_seq):
                    _apply_events(serving, missed, self._weights)
            _apply_events(serving, batch, self._weights)

    def apply_preferences(self, preferences: Preferences) -> None:
        """Let declarations count."""
        with self._apply_lock:
            _apply_preferences(self.serving.state, preferences)

    def _start(self, opened: OpenSnapshot | None) -> Serving:
        if opened is None:
            return Serving(
                State(empty_arrays(), models=[], kinds=[], categories=[], embedding_size=1), None, None, None, 0
            )
        manifest = opened.manifest
        try:
            state = State(
                opened.arrays,
                models=list(manifest.models),
                kinds=manifest.kinds,
                categories=manifest.categories,
                embedding_size=manifest.embedding_size,
                # Every byte matches its checksum, so what was valid when written still is.
                verify=False,
            )
        except ValueError as error:
            raise CorruptDataError(
                f"{opened.folder}: {error}; build a new snapshot with `aigc train`", reason="SNAPSHOT_CORRUPT"
            ) from error
        encoder = load_encoder(opened.folder / "encoder")
        index = VectorIndex.open(opened.arrays["item_embeddings"], opened.folder)
        learned = opened.folder / "topics"
        # A snapshot of an earlier version has none.
        topics = TopicClassifier.load(learned) if learned.is_dir() else None
        return Serving(state, manifest, encoder, index, manifest.event_seq, topics)

    def _swap(self, serving: Serving) -> Serving:
        revision = serving.manifest.item_revision if serving.manifest else 0
        revision = self._replay(serving, revision)
        with self._apply_lock:
            self._replay(serving, revision)
            self.engine.publish(serving.state)
            self.serving = serving
            # Before the next write: a front that answers by the state before it would not show it.
            self.on_swap()
        return serving

    def _replay(self, serving: Serving, revision: int) -> int:
        """Bring a state up to what is stored; gives the item revision reached."""
        for batch in self._store.iterate_items(since_revision=revision, include_deleted=True):
            revision = batch[-1][0]
            gone = [entry for _, entry in batch if isinstance(entry, str)]
            changed = [entry for _, entry in batch if isinstance(entry, Item)]
            complete = self._store.get_items([i.id for i in changed], with_content=True)
            _upsert(serving, [complete.get(i.id, i) for i in changed])
            serving.state.delete_items(gone)
        for events in self._store.iterate_events(since_seq=serving.event_seq):
            _apply_events(serving, events, self._weights)
        for preferences in self._store.iterate_preferences():
            _apply_preferences(serving.state, preferences)
        return revision


def _nothing() -> None:
    """Until someone wants to hear of a new snapshot."""


def _upsert(serving: Serving, items: Sequence[Item]) -> None:
    if not items:
        return
    now_ms = int(time.time() * 1000)
    serving.state.upsert_items(
        [i.id for i in items],
        [i.title for i in items],
        [i.kind for i in items],
        [list(i.categories) for i in items],
        np.array([i.hidden for i in items], np.bool_),
        np.array([i.generated for i in items], np.bool_),
        np.array([i.created_ms or now_ms for i in items], np.int64),
        serving.encode(items),
    )


def _apply_events(serving: Serving, batch: EventBatch, weights: EventWeights) -> None:
    start = int(np.searchsorted(batch.seqs, serving.event_seq, side="right"))
    if start == len(batch.seqs):
        return
    serving.state.apply_events(
        list(batch.user_ids[start:]),
        list(batch.item_ids[start:]),
        weights.weigh(batch.types[start:], batch.values[start:]),
        batch.times_ms[start:],
    )
    serving.event_seq = int(batch.seqs[-1])


def _apply_preferences(state: State, preferences: Preferences) -> None:
    state.set_preferences(
        preferences.user_id,
        dict(preferences.interests),
        list(preferences.dislikes),
        preferences.allow_generated,
        preferences.allow_personalisation,
    )
