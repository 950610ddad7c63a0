"""Model versions proposed, compared on real work, promoted and rolled back: the promotion of every model, kept."""

from __future__ import annotations

import logging
import secrets
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from aigc.creation.bandit.generation_arm import GenerationArm
from aigc.creation.bandit.rewards import RewardOptions
from aigc.creation.champion_aliases import promotion_of, write_aliases
from aigc.creation.offline_gate import judge_offline
from aigc.creation.promotion import Outcome, Promoter, Promotion, PromotionOptions, Stage, Step
from aigc.creation.promotion_record import PromotionEvent, PromotionRecord, read_record, write_record
from aigc.creation.work_rewards import WorkRewards
from aigc.entities import Creation, CreationState
from aigc.errors import AigcError, ConflictError, CorruptDataError, InvalidInputError, NotFoundError
from aigc.generate.repository import ModelInfo, ModelRepository, check_name
from aigc.services.creation_makers import ways_of
from aigc.services.promotion_status import Assignment, PromotionStatus
from aigc.store.base import CreationStore

__all__ = ["Promotions"]

_PAGE = 1000
_LONGEST_S = 3600.0
_AGAIN_S = 5.0
_log = logging.getLogger(__name__)


def _now_ms() -> int:
    return int(time.time() * 1000)


class Promotions:
    """The promotions of one data directory. All methods may be called from any thread.

    Two locks: ``_acting`` is held while a state changes and its file is written, ``_lock`` for what is in memory alone,
    so that the thread that stores events never waits for a disk here.
    """

    def __init__(
        self,
        repository: ModelRepository,
        creations: CreationStore,
        options: PromotionOptions | None = None,
        rewards: RewardOptions | None = None,
        clock_ms: Callable[[], int] = _now_ms,
    ) -> None:
        """Nothing is read before :meth:`start`.

        Args:
            repository: The models, whose aliases follow the states.
            creations: What was made, of which the counts are rebuilt.
            options: How cautious.
            rewards: How events become rewards.
            clock_ms: Milliseconds since the epoch.
        """
        self.problems: tuple[str, ...] = ()
        self._repository = repository
        self._creations = creations
        self._promoter = Promoter(options)
        self._reward_options = rewards or RewardOptions()
        self._clock_ms = clock_ms
        self._acting = threading.Lock()
        self._lock = threading.Lock()
        self._records: dict[str, PromotionRecord] = {}
        self._works: dict[str, WorkRewards] = {}
        self._counts: Counter[Outcome] = Counter()
        self._wake = threading.Event()
        self._closing = False
        self._thread: threading.Thread | None = None

    @property
    def options(self) -> PromotionOptions:
        """How cautious."""
        return self._promoter.options

    def start(self) -> None:
        """Read the states, finish what a kill cut off, and take up again what was made in the running comparisons."""
        problems = []
        with self._acting:
            for name in sorted({info.name for info in self._repository.models()}):
                try:
                    self._read(name)
                except (AigcError, OSError) as error:
                    problems.append(f"the promotion of model {name} cannot be taken up: {error}")
                    _log.error("%s", problems[-1])
            self.problems = tuple(problems)
            self._remember()

    def watch(self) -> None:
        """Decide from now on by itself, as soon as there is something to decide."""
        self._thread = threading.Thread(target=self._run, name="promotions", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop deciding; every state is on disk already."""
        self._closing = True
        self._wake.set()
        if self._thread is not None:
            self._thread.join()

    def propose(self, model: str, version: int) -> PromotionStatus:
        """Let a version take part in the work, if it measures no worse than the champion.

        Raises:
            InvalidInputError: It is the champion, or of another kind.
            NotFoundError: No such model or version.
            ConflictError: It measures worse (``WORSE_OFFLINE``, with the comparison in words), a comparison runs
                already, or nobody ever sees what such a model makes.
        """
        with self._acting:
            record = self._current(model)
            candidate = self._candidate(record, version)
            champion = self._repository.get(f"{model}@{record.state.champion}")
            verdict = judge_offline(candidate.kind, champion.measures, candidate.measures)
            step = self._promoter.propose(record.state, version, verdict)
            if step.outcome is Outcome.REFUSED:
                self._keep(record.noted(self._told(model, version, step)))
                raise ConflictError(
                    f"{candidate.id} is not proposed: {step.text}; train a better one, or promote it by force, which "
                    "is watched",
                    reason="WORSE_OFFLINE",
                    metadata={"model": candidate.id, "champion": champion.id},
                )
            self._enter(record, step, version)
            return self._status(model)

    def force(self, model: str, version: int) -> PromotionStatus:
        """Make a version champion now; the last trusted one keeps a share of the work, to return if this one is worse.

        Raises:
            InvalidInputError: It is the champion already, or of another kind.
            NotFoundError: No such model or version.
            ConflictError: Nobody ever sees what such a model makes.
        """
        with self._acting:
            record = self._current(model)
            self._candidate(record, version)
            self._enter(record, self._promoter.force(record.state, version), version)
            return self._status(model)

    def withdraw(self, model: str) -> PromotionStatus:
        """End the comparison: a candidate goes, a watched champion gives way to the previous one.

        Raises:
            NotFoundError: No such model.
            ConflictError: Nothing is being compared.
        """
        with self._acting:
            record = self._current(model)
            if record.state.stage is Stage.STEADY:
                raise ConflictError(
                    f"nothing of model {model} is being compared: {model}@{record.state.champion} serves; propose or "
                    "force a version first",
                    reason="NO_COMPARISON",
                )
            self._enter(record, self._promoter.withdraw(record.state), _newer(record.state))
            return self._status(model)

    def get(self, model: str) -> PromotionStatus:
        """Where a model stands.

        Raises:
            NotFoundError: No such model.
        """
        with self._acting:
            self._current(model)
            return self._status(model)

    def list(self) -> list[PromotionStatus]:
        """Where every model stands, by name."""
        found = []
        for name in sorted({info.name for info in self._repository.models()}):
            try:
                found.append(self.get(name))
            except (NotFoundError, CorruptDataError):
                continue
        return found

    def counts(self) -> Mapping[str, int]:
        """Outcome → how often since the start."""
        with self._lock:
            return {outcome.value: self._counts[outcome] for outcome in Outcome if outcome is not Outcome.NOTHING}

    def running(self) -> int:
        """Comparisons that run."""
        with self._lock:
            return len(self._works)

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
        self._wake.set()

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
            self._wake.set()

    def settle(self) -> None:
        """Count the work that closed, and decide where that decides something."""
        with self._acting:
            for name in list(self._works):
                self._settle(name)

    def _settle(self, name: str) -> None:
        with self._lock:
            record, state = self._records[name], self._records[name].state
            for work in self._works[name].take(self._clock_ms()):
                step = self._promoter.observe(state, work.version, [work.reward])
                if step.outcome is not Outcome.NOTHING:
                    break
                state = step.state
            else:
                step = Step(state)
            # Should the decision fail to be written, the next reward brings it up again.
            self._records[name] = replace(record, state=state)
        if step.outcome is not Outcome.NOTHING:
            record = self._current(name)
            if record.comparison:
                self._enter(record, step, _newer(record.state))

    def _run(self) -> None:
        pause = 0.0
        while not self._closing:
            self._wake.wait(pause)
            self._wake.clear()
            try:
                self.settle()
                pause = self._pause()
            except (AigcError, OSError):
                _log.exception("a promotion could not be decided; it is tried again")
                pause = _AGAIN_S

    def _pause(self) -> float:
        with self._lock:
            due = [works.next_due_ms for works in self._works.values() if works.next_due_ms]
        return min(_LONGEST_S, max(0.0, (min(due) - self._clock_ms()) / 1000)) if due else _LONGEST_S

    def _read(self, name: str) -> None:
        record = read_record(self._repository.root / name)
        if record is None:
            state = promotion_of(self._repository, name)
            comparing = state.stage is not Stage.STEADY
            record = PromotionRecord(state, _comparison() if comparing else "", self._clock_ms() if comparing else 0)
            if comparing:
                write_record(self._repository.root / name, record)
        elif not record.applied:
            write_aliases(self._repository, record.state)
            record = replace(record, applied=True)
            write_record(self._repository.root / name, record)
        with self._lock:
            self._hold(record)

    def _remember(self) -> None:
        """The work of the comparisons that run, from the records of what was made."""
        since = min((self._records[name].started_ms for name in self._works), default=0)
        if not self._works:
            return
        before: tuple[int, str] | None = None
        found: list[Creation] = []
        while page := self._creations.list(limit=_PAGE, before=before):
            found += [creation for creation in page if creation.created_ms >= since]
            before = (page[-1].created_ms, page[-1].id)
            if before[0] < since:
                break
        for creation in reversed(found):
            self.made(creation)
            if creation.state is CreationState.REJECTED:
                self.rejected(creation)
        now = self._clock_ms()
        with self._lock:
            for works in self._works.values():
                works.end_all(now)

    def _current(self, model: str) -> PromotionRecord:
        """The record, once what a person did to the aliases has been taken over."""
        check_name(model, "model")
        champion = self._repository.get(model).version
        with self._lock:
            record = self._records.get(model)
        if record is None:
            record = PromotionRecord(Promotion(model, champion))
        elif record.state.stage is Stage.STEADY:
            record = replace(record, state=Promotion(model, champion))
        else:
            reason = self._overruled(record.state, champion)
            if reason:
                state = record.state
                self._enter(record, Step(Promotion(model, champion), Outcome.OVERRULED, reason), _newer(state))
                return self._records[model]
        with self._lock:
            self._hold(record)
        return record

    def _overruled(self, state: Promotion, champion: int) -> str:
        if champion != state.champion:
            return f"the alias champion was set to version {champion} by hand"
        try:
            self._repository.get(f"{state.model}@{state.other}")
        except (NotFoundError, CorruptDataError) as error:
            return error.message
        return ""

    def _candidate(self, record: PromotionRecord, version: int) -> ModelInfo:
        state = record.state
        if version < 1:
            raise InvalidInputError(f"version is {version}; give a number from 1", field="version")
        champion = self._repository.get(f"{state.model}@{state.champion}")
        candidate = self._repository.get(f"{state.model}@{version}")
        if candidate.kind != champion.kind:
            raise InvalidInputError(
                f"version is {version}, a {candidate.kind}, and the champion is a {champion.kind}: give a version of "
                "the same kind, or train it under another name",
                field="version",
            )
        if not (ways_of(candidate) and ways_of(champion)):
            raise ConflictError(
                f"what {candidate.id}, a {candidate.kind}, makes is put before nobody by GenerateForUser, so that no "
                f"work can tell whether it is worse; set the alias yourself: aigc generator alias {candidate.id} "
                "champion",
                reason="NOT_COMPARABLE",
            )
        return candidate

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

    def _enter(self, record: PromotionRecord, step: Step, version: int) -> None:
        """Write the new state, then let the aliases say the same; a kill in between is finished at the next start."""
        comparison = "" if step.state.stage is Stage.STEADY else _comparison()
        event = self._told(step.state.model, version, step)
        record = record.after(step.state, event, comparison)
        self._keep(record)
        write_aliases(self._repository, step.state)
        self._keep(replace(record, applied=True))

    def _keep(self, record: PromotionRecord) -> None:
        write_record(self._repository.root / record.state.model, record)
        with self._lock:
            self._hold(record)

    def _hold(self, record: PromotionRecord) -> None:
        """In memory; a comparison that is new begins to count."""
        name = record.state.model
        before = self._records.get(name)
        self._records[name] = record
        if not record.comparison:
            self._works.pop(name, None)
        elif before is None or before.comparison != record.comparison or name not in self._works:
            self._works[name] = WorkRewards(self._reward_options)

    def _told(self, model: str, version: int, step: Step) -> PromotionEvent:
        with self._lock:
            self._counts[step.outcome] += 1
        _log.info("promotion of %s@%d: %s: %s", model, version, step.outcome, step.text)
        return PromotionEvent(self._clock_ms(), step.outcome, version, step.text)

    def _works_of(self, name: str, comparison: str) -> WorkRewards | None:
        record = self._records.get(name)
        if not comparison or record is None or record.comparison != comparison:
            return None
        return self._works.get(name)

    def _status(self, model: str) -> PromotionStatus:
        with self._lock:
            record, works = self._records[model], self._works.get(model)
        state, options = record.state, self._promoter.options
        shares = {Stage.STEADY: 0.0, Stage.CANARY: options.canary_share, Stage.WATCH: options.watch_share}
        told = bool(state.champion_rewards.n and state.other_rewards.n)
        with self._lock:
            waiting = {v: works.waiting(v) for v in (state.champion, state.other)} if works is not None else {}
        return PromotionStatus(
            state,
            shares[state.stage],
            record.started_ms,
            self._promoter.compare(state) if told else None,
            waiting,
            record.history,
        )


def _newer(state: Promotion) -> int:
    """The version that is on trial."""
    return state.other if state.stage is Stage.CANARY else state.champion


def _comparison() -> str:
    return secrets.token_hex(8)
