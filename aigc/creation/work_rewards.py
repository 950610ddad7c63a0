"""One reward for each piece of work that is being compared, once what was made has been before people for a while."""

from __future__ import annotations

import heapq
from collections.abc import Iterable
from dataclasses import dataclass, field

from aigc.creation.bandit.rewards import RewardOptions, reward_of

__all__ = ["FinishedWork", "WorkRewards"]


@dataclass(frozen=True, slots=True)
class FinishedWork:
    """A piece of work, the version that did it, and its reward in [0, 1]."""

    work: str
    version: int
    reward: float


@dataclass(slots=True)
class _Work:
    version: int
    items: list[str] = field(default_factory=list)
    seen: list[tuple[int, str, str, float]] = field(default_factory=list)
    due_ms: int = 0


class WorkRewards:
    """Pieces of work and what came of them; not thread-safe, and free of any clock.

    A piece of work is one order of a model's: a few candidates for one user, of which some become items. Its reward is
    the mean over everyone who saw one of its items, each by the rule of :mod:`aigc.creation.bandit.rewards` (the
    strongest positive event, 0 for what was seen and left, a rejection counting as several trials). It is one number,
    not one an item or a viewer: those are alike, and counted apart they would look like more evidence than they are.

    Work closes ``window_ms`` after the first of its items was seen, so that old and young work have had the same time
    to be liked. What nobody saw says nothing. Work of which nothing could be shown is worth 0: a version whose
    pictures no gate lets through must not go uncounted.
    """

    def __init__(self, options: RewardOptions | None = None) -> None:
        """Args: options: the window, and what a rejection counts."""
        self._options = options or RewardOptions()
        self._open: dict[str, _Work] = {}
        self._owners: dict[str, str] = {}
        self._due: list[tuple[int, str]] = []

    def begin(self, work: str, version: int, item_id: str = "") -> None:
        """Let a piece of work be known, and own an item where it gave one."""
        entry = self._open.setdefault(work, _Work(version))
        if item_id:
            entry.items.append(item_id)
            self._owners[item_id] = work

    def end(self, work: str, now_ms: int) -> None:
        """Say that no further item comes of it: without any it is worth 0."""
        entry = self._open.get(work)
        if entry is not None and not entry.items:
            self._schedule(work, entry, now_ms)

    def end_all(self, now_ms: int) -> None:
        """:meth:`end` of everything: nothing made before a start goes on."""
        for work in list(self._open):
            self.end(work, now_ms)

    def learn(
        self,
        item_ids: Iterable[str],
        user_ids: Iterable[str],
        weights: Iterable[float],
        times_ms: Iterable[int],
        now_ms: int,
    ) -> bool:
        """Take in events, n of each; True when one was on an item of open work.

        Args:
            item_ids: On what.
            user_ids: By whom.
            weights: In [-1, 1]; 0 for an impression.
            times_ms: When; later than now counts as now.
            now_ms: Milliseconds since the epoch.
        """
        if not self._owners:
            return False
        touched = False
        for item_id, user_id, weight, time_ms in zip(item_ids, user_ids, weights, times_ms, strict=True):
            work = self._owners.get(item_id)
            if work is None:
                continue
            entry, at = self._open[work], min(int(time_ms), now_ms)
            entry.seen.append((at, item_id, user_id, float(weight)))
            touched = True
            due = at + self._options.window_ms
            if not entry.due_ms or due < entry.due_ms:
                self._schedule(work, entry, due)
        return touched

    def take(self, now_ms: int) -> list[FinishedWork]:
        """What closed until now, the earliest first; it is forgotten here."""
        found = []
        while self._due and self._due[0][0] <= now_ms:
            due_ms, work = heapq.heappop(self._due)
            entry = self._open.get(work)
            if entry is None or entry.due_ms != due_ms:
                continue
            del self._open[work]
            for item_id in entry.items:
                self._owners.pop(item_id, None)
            found.append(FinishedWork(work, entry.version, self._reward(entry)))
        return found

    @property
    def next_due_ms(self) -> int:
        """When the next work closes; 0 when none is known to."""
        return self._due[0][0] if self._due else 0

    def waiting(self, version: int) -> int:
        """Pieces of a version's work that are still open."""
        return sum(entry.version == version for entry in self._open.values())

    def _schedule(self, work: str, entry: _Work, due_ms: int) -> None:
        entry.due_ms = due_ms
        heapq.heappush(self._due, (due_ms, work))

    def _reward(self, entry: _Work) -> float:
        viewers: dict[tuple[str, str], list[float]] = {}
        for at, item_id, user_id, weight in entry.seen:
            if at <= entry.due_ms:
                viewers.setdefault((item_id, user_id), []).append(weight)
        found = [reward_of(max(w), min(w), self._options) for w in viewers.values()]
        trials = sum(t for _, t in found)
        return sum(r * t for r, t in found) / trials if trials else 0.0
