"""What an operator does: build a snapshot, look at the state, reload strategies."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib import metadata

from aigc.errors import ConflictError
from aigc.index.manifest import Manifest
from aigc.index.snapshot import SnapshotFolder
from aigc.recommend.live import Live
from aigc.recommend.strategy import Strategy
from aigc.recommend.strategy_book import StrategyBook
from aigc.recommend.train import TrainProgress
from aigc.store.base import Store

__all__ = ["Admin", "BuildProgress", "SnapshotInfo", "Status", "StrategyInfo"]


@dataclass(frozen=True, slots=True)
class SnapshotInfo:
    """A snapshot, as an operator sees it; ``models`` is name → version."""

    id: str
    created_ms: int
    items: int
    users: int
    events: int
    embedding_size: int
    models: Mapping[str, str]
    bytes: int


@dataclass(frozen=True, slots=True)
class BuildProgress:
    """One step of a build; ``snapshot`` is set on the last."""

    stage: str
    fraction: float
    snapshot: SnapshotInfo | None = None


@dataclass(frozen=True, slots=True)
class Status:
    """What is stored and what is serving; ``delta`` counts what came since the snapshot."""

    version: str
    snapshot: SnapshotInfo | None
    items: int
    events: int
    users: int
    delta: Mapping[str, int]
    uptime_ms: int
    problems: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class StrategyInfo:
    """A strategy in force, and the file it comes from."""

    name: str
    description: str
    sources: tuple[str, ...]
    path: str


class Admin:
    """Operator's calls."""

    def __init__(
        self,
        store: Store,
        live: Live,
        snapshots: SnapshotFolder,
        strategies: StrategyBook,
        build: Callable[[], Iterator[TrainProgress]],
        problems: Callable[[], tuple[str, ...]],
    ) -> None:
        """Args: build: starts one build of a snapshot; problems: what an operator should look at now."""
        self._store = store
        self._live = live
        self._snapshots = snapshots
        self._strategies = strategies
        self._build = build
        self._problems = problems
        self._started = time.monotonic()

    def build_snapshot(self) -> Iterator[BuildProgress]:
        """Train, publish and serve a new snapshot; closing the iterator cancels what is not yet published.

        Raises:
            ConflictError: A build runs already.
        """
        for progress in self._build():
            if not progress.snapshot_id:
                yield BuildProgress(progress.stage, progress.fraction * 0.95)
                continue
            yield BuildProgress("opening the snapshot", 0.95)
            if self._live.serving.snapshot_id != progress.snapshot_id:
                self._live.publish(progress.snapshot_id)
            manifest = self._live.serving.manifest
            if manifest is None:
                raise ConflictError("the snapshot was replaced while it was opened; look at the status")
            yield BuildProgress("serving", 1.0, snapshot_info(manifest))

    def status(self) -> Status:
        """Counts, versions and problems, now."""
        counts = self._store.counts()
        serving = self._live.serving
        return Status(
            version=metadata.version("aigc"),
            snapshot=snapshot_info(serving.manifest) if serving.manifest else None,
            items=counts.items,
            events=counts.events,
            users=counts.users,
            delta=serving.state.stats(),
            uptime_ms=int((time.monotonic() - self._started) * 1000),
            problems=self._problems(),
        )

    def strategies(self) -> list[StrategyInfo]:
        """All strategies in force, by name."""
        return [_strategy_info(strategy, str(path)) for strategy, path in self._strategies.all()]

    def reload_strategies(self) -> list[StrategyInfo]:
        """Read the strategy files again now.

        Raises:
            InvalidInputError: A file is invalid; the strategies in force stay as they were.
        """
        self._strategies.reload()
        return self.strategies()


def snapshot_info(manifest: Manifest) -> SnapshotInfo:
    """A manifest, as an operator sees it."""
    return SnapshotInfo(
        id=manifest.id,
        created_ms=manifest.created_ms,
        items=manifest.counts["items"],
        users=manifest.counts["users"],
        events=manifest.counts["events"],
        embedding_size=manifest.embedding_size,
        models=manifest.model_versions,
        bytes=manifest.bytes,
    )


def _strategy_info(strategy: Strategy, path: str) -> StrategyInfo:
    return StrategyInfo(strategy.name, strategy.description, tuple(s.name for s in strategy.sources), path)
