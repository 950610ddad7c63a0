"""The work of the comparisons that run, in memory: which version does a piece of it, and what came of it."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace

from aigc.creation.bandit.generation_arm import GenerationArm
from aigc.creation.bandit.rewards import RewardOptions
from aigc.creation.promotion import Outcome, Promoter, Stage, Step
from aigc.creation.promotion_record import PromotionRecord
from aigc.creation.work_rewards import WorkRewards
from aigc.entities import Creation, CreationState
from aigc.errors import CorruptDataError, NotFoundError
from aigc.generate.repository import ModelInfo, ModelRepository
from aigc.services.creation_makers import ways_of
from aigc.services.promotion_status import Assignment

__all__ = ["ComparedWork"]

_log = logging.getLogger(__name__)


class ComparedWork:
    """Holds the record of each model and the open work of those that are compared; thread-safe, and never at a disk
    with its lock held, so that the thread that stores events does not wait for one.
    """

    def __init__(
        self,
        repository: ModelRepository,
        promoter: Promoter,
        rewards: RewardOptions,
        clock_ms: Callable[[], int],
        on_change: Callable[[], None],
    ) -> None:
        """Wire.

        Args:
            repository: Of the models.
            promoter: The rules.
            rewards: How events become rewards.
            clock_ms: Milliseconds since the epoch.
            on_change: Called when there may be something to count.
        """
        self._repository = repository
        self._promoter = promoter
        self._rewards = rewards
        self._clock_ms = clock_ms
        self._on_change = on_change
        self._lock = threading.Lock()
        self._records: dict[str, PromotionRecord] = {}
        self._works: dict[str, WorkRewards] = {}

    def record(self, model: str) -> PromotionRecord | None:
        """The record of a model, with the rewards counted so far; None where none is held."""
        with self._lock:
            return self._records.get(model)

    def hold(self, record: PromotionRecord) -> None:
        """From now on this is the record of its model; a comparison that is new begins to count."""
        name = record.state.model
        with self._lock:
            before = self._records.get(name)
            self._records[name] = record
            if not record.comparison:
                self._works.pop(name, None)
            elif before is None or before.comparison != record.comparison or name not in self._works:
                self._works[name] = WorkRewards(self._rewards)

    def running(self) -> list[str]:
        """The models that are compared."""
        with self._lock:
            return list(self._works)

    def waiting(self, model: str) -> dict[int, int]:
        """Version → pieces of its work that are still open; empty without a comparison."""
        with self._lock:
            works = self._works.get(model)
            if works is None:
                return {}
            state = self._records[model].state
            return {version: works.waiting(version) for version in (state.champion, state.other)}

    def count(self, model: str) -> Step:
        """Count the work that closed; the step that follows from it.

        Should the decision not be written in the end, the next reward brings it up again.
        """
        with self._lock:
            record = self._records[model]
            works, state = self._works.get(model), record.state
            step = Step(state)
            for work in works.take(self._clock_ms()) if works is not None else ():
                step = self._promoter.observe(state, work.version, [work.reward])
                if step.outcome is not Outcome.NOTHING:
                    break
                state = step.state
            self._records[model] = replace(record, state=state)
            return step

    def next_due_ms(self) -> int:
        """When the next work closes; 0 when none is known to."""
        with self._lock:
            return min((w.next_due_ms for w in self._works.values() if w.next_due_ms), default=0)

    def remember(self, creations: Sequence[Creation]) -> None:
        """Take up what was made before a start, the oldest first; none of it goes on."""
        for creation in creations:
            self.made(creation)
            if creation.state is CreationState.REJECTED:
                self.rejected(creation)
        now = self._clock_ms()
        with self._lock:
            for works in self._works.values():
                works.end_all(now)

    def assign(self, arm: GenerationArm, info: ModelInfo, work: str, pinned: Sequence[str] = ()) -> Assignment:
        """Who does a piece of work that the champion's arm was chosen for.

        Args:
            arm: Chosen.
            info: Its model: the champion, or a version that was asked for by its number.
            work: Names the piece of work, and nothing about the user: see :meth:`Promoter.serves`.
            pinned: References of the strategy; a version named there does its work itself.
        """
        with self._lock:
            record = self._records.get(info.name)
        if record is None or not record.comparison or info.version != record.state.champion or info.id in pinned:
            return Assignment(arm, info)
        return self._assignment(arm, info, record, self._promoter.serves(record.state, work), work)

    def instead_of(self, failed: Assignment) -> Assignment | None:
        """The other version, for work that one could not do; None without a comparison. It does not count for it."""
        with self._lock:
            record = self._records.get(failed.info.name)
        if record is None or not failed.told or record.comparison != failed.told["comparison"]:
            return None
        state = record.state
        version = state.other if failed.info.version == state.champion else state.champion
        found = self._assignment(failed.arm, failed.info, record, version, "")
        return None if found.info.version == failed.info.version else replace(found, share=1.0, told={})

    def made(self, creation: Creation) -> None:
        """Let what was made in a comparison count for it."""
        name, _, version = creation.model.partition("@")
        with self._lock:
            works = self._works_of(name, creation.recipe.get("comparison", ""))
            if works is not None:
                works.begin(creation.recipe["work"], int(version), creation.item_id)

    def ended(self, served: Assignment, *, failed: bool = False) -> None:
        """Say that a piece of work is done; without an item, or ``failed``, it is worth nothing."""
        with self._lock:
            works = self._works_of(served.info.name, served.told.get("comparison", ""))
            if works is None:
                return
            if failed:
                works.begin(served.told["work"], served.info.version)
            works.end(served.told["work"], self._clock_ms())
        self._on_change()

    def rejected(self, creation: Creation) -> None:
        """A person's refusal is the strongest rejection."""
        self.learn([creation.item_id], [f"reviewer {creation.reviewer}"], [-1.0], [creation.reviewed_ms])

    def learn(
        self, item_ids: Sequence[str], user_ids: Sequence[str], weights: Sequence[float], times_ms: Sequence[int]
    ) -> None:
        """Take in events, with their weights in [-1, 1] and times in milliseconds; it never waits for a disk."""
        if not self._works:
            return
        now = self._clock_ms()
        with self._lock:
            touched = [w.learn(item_ids, user_ids, weights, times_ms, now) for w in self._works.values()]
        if any(touched):
            self._on_change()

    def _assignment(
        self, arm: GenerationArm, info: ModelInfo, record: PromotionRecord, version: int, work: str
    ) -> Assignment:
        options, state = self._promoter.options, record.state
        minor = options.canary_share if state.stage is Stage.CANARY else options.watch_share
        told = {"comparison": record.comparison, "work": work}
        if version != info.version:
            try:
                other = self._repository.get(f"{info.name}@{version}")
            except (NotFoundError, CorruptDataError) as error:
                _log.error("%s@%d cannot do its share of the work: %s", info.name, version, error)
                return Assignment(arm, info)
            ways = ways_of(other)
            if not ways:
                return Assignment(arm, info)
            arm, info = GenerationArm(other.id, arm.condition if arm.condition in ways else ways[0]), other
        return Assignment(arm, info, minor if version == state.other else 1 - minor, told)

    def _works_of(self, name: str, comparison: str) -> WorkRewards | None:
        record = self._records.get(name)
        if not comparison or record is None or record.comparison != comparison:
            return None
        return self._works.get(name)
