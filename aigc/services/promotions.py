"""Model versions proposed, compared on real work, promoted and rolled back: the promotion of every model, kept."""

from __future__ import annotations

import logging
import secrets
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace

from aigc.creation.bandit.rewards import RewardOptions
from aigc.creation.champion_aliases import promotion_of, write_aliases
from aigc.creation.offline_gate import judge_offline
from aigc.creation.promotion import Outcome, Promoter, Promotion, PromotionOptions, Stage, Step
from aigc.creation.promotion_record import PromotionEvent, PromotionRecord, read_record, write_record
from aigc.entities import Creation
from aigc.errors import AigcError, ConflictError, CorruptDataError, InvalidInputError, NotFoundError
from aigc.generate.repository import ModelInfo, ModelRepository, check_name
from aigc.services.compared_work import ComparedWork
from aigc.services.creation_makers import ways_of
from aigc.services.promotion_status import PromotionStatus
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

    Attributes:
        work: Which version does a piece of work, and what came of it.
        problems: What could not be taken up at the start, each in one sentence.
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
        self._clock_ms = clock_ms
        self._acting = threading.Lock()
        self._counts: Counter[Outcome] = Counter()
        self._wake = threading.Event()
        self.work = ComparedWork(repository, self._promoter, rewards or RewardOptions(), clock_ms, self._wake.set)
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
        return {outcome.value: self._counts[outcome] for outcome in Outcome if outcome is not Outcome.NOTHING}

    def running(self) -> int:
        """Comparisons that run."""
        return len(self.work.running())

    def settle(self) -> None:
        """Count the work that closed, and decide where that decides something."""
        with self._acting:
            for name in self.work.running():
                step = self.work.count(name)
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
        due_ms = self.work.next_due_ms()
        return min(_LONGEST_S, max(0.0, (due_ms - self._clock_ms()) / 1000)) if due_ms else _LONGEST_S

    def _read(self, name: str) -> None:
        record = read_record(self._repository.root / name)
        if record is None:
            state = promotion_of(self._repository, name)
            comparing = state.stage is not Stage.STEADY
            record = PromotionRecord(state, _comparison() if comparing else "", self._clock_ms() if comparing else 0)
            if comparing:
                write_record(self._repository.root / name, record)
        if record.applied:
            self.work.hold(record)
        else:
            self._apply(record)

    def _remember(self) -> None:
        """The work of the comparisons that run, from the records of what was made."""
        records = [record for name in self.work.running() if (record := self.work.record(name)) is not None]
        if not records:
            return
        since = min(record.started_ms for record in records)
        before: tuple[int, str] | None = None
        found: list[Creation] = []
        while page := self._creations.list(limit=_PAGE, before=before):
            found += [creation for creation in page if creation.created_ms >= since]
            before = (page[-1].created_ms, page[-1].id)
            if before[0] < since:
                break
        self.work.remember(found[::-1])

    def _current(self, model: str) -> PromotionRecord:
        """The record, once what a person did to the aliases has been taken over."""
        check_name(model, "model")
        champion = self._repository.get(model).version
        record = self.work.record(model)
        if record is not None and not record.applied:
            record = self._apply(record)
            champion = record.state.champion
        if record is None:
            record = PromotionRecord(Promotion(model, champion))
        elif record.state.stage is Stage.STEADY:
            record = replace(record, state=Promotion(model, champion))
        elif reason := self._overruled(record.state, champion):
            step = Step(Promotion(model, champion), Outcome.OVERRULED, reason)
            return self._enter(record, step, _newer(record.state))
        self.work.hold(record)
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

    def _enter(self, record: PromotionRecord, step: Step, version: int) -> PromotionRecord:
        """Write the new state, then let the aliases say the same; a kill in between is finished at the next start."""
        comparison = "" if step.state.stage is Stage.STEADY else _comparison()
        event = self._told(step.state.model, version, step)
        record = record.after(step.state, event, comparison)
        self._keep(record)
        return self._apply(record)

    def _apply(self, record: PromotionRecord) -> PromotionRecord:
        write_aliases(self._repository, record.state)
        record = replace(record, applied=True)
        self._keep(record)
        return record

    def _keep(self, record: PromotionRecord) -> None:
        write_record(self._repository.root / record.state.model, record)
        self.work.hold(record)

    def _told(self, model: str, version: int, step: Step) -> PromotionEvent:
        self._counts[step.outcome] += 1
        _log.info("promotion of %s@%d: %s: %s", model, version, step.outcome, step.text)
        return PromotionEvent(self._clock_ms(), step.outcome, version, step.text)

    def _status(self, model: str) -> PromotionStatus:
        record = self.work.record(model)
        assert record is not None
        state, options = record.state, self._promoter.options
        shares = {Stage.STEADY: 0.0, Stage.CANARY: options.canary_share, Stage.WATCH: options.watch_share}
        told = bool(state.champion_rewards.n and state.other_rewards.n)
        return PromotionStatus(
            state,
            shares[state.stage],
            record.started_ms,
            self._promoter.compare(state) if told else None,
            self.work.waiting(model),
            record.history,
        )


def _newer(state: Promotion) -> int:
    """The version that is on trial."""
    return state.other if state.stage is Stage.CANARY else state.champion


def _comparison() -> str:
    return secrets.token_hex(8)
