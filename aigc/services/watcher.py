"""Notices what other processes changed: a newly published snapshot, an edited strategy file."""

from __future__ import annotations

import logging
import threading

from aigc.errors import AigcError
from aigc.index.snapshot import SnapshotFolder
from aigc.recommend.live import Live
from aigc.recommend.strategy_book import StrategyBook

__all__ = ["Watcher"]

_log = logging.getLogger(__name__)


class Watcher:
    """A thread that looks every ``poll_ms`` and swaps in what is valid; what is not is kept out and reported."""

    def __init__(self, live: Live, snapshots: SnapshotFolder, strategies: StrategyBook, *, poll_ms: int) -> None:
        """Start looking."""
        self._live = live
        self._snapshots = snapshots
        self._strategies = strategies
        self._poll_s = poll_ms / 1000
        self._refused = ""
        self._refusal: AigcError | None = None
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watcher", daemon=True)
        self._thread.start()

    def problems(self) -> tuple[str, ...]:
        """What was refused and still stands, each in one sentence."""
        return tuple(str(e) for e in (self._refusal, self._strategies.error) if e is not None)

    def close(self) -> None:
        """Stop looking."""
        self._closing.set()
        self._thread.join()

    def look(self) -> None:
        """Look once, now."""
        published = self._snapshots.current_id()
        if published and published not in (self._live.serving.snapshot_id, self._refused):
            try:
                self._live.publish(published)
                self._refused, self._refusal = "", None
                _log.info("snapshot %s is serving", published)
            except (AigcError, OSError) as error:
                self._refused = published
                self._refusal = error if isinstance(error, AigcError) else AigcError(str(error))
                _log.error("snapshot %s was refused, the previous one goes on serving: %s", published, error)
        try:
            if self._strategies.refresh():
                _log.info("strategies reloaded")
        except (AigcError, OSError) as error:
            _log.error("strategies were not reloaded, the previous ones stay in force: %s", error)

    def _run(self) -> None:
        while not self._closing.wait(self._poll_s):
            self.look()
