"""Training on the platform's own content: jobs that survive a restart of the server, one in work at a time."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from aigc.errors import (
    AlreadyExistsError,
    ConflictError,
    InvalidInputError,
    NotFoundError,
    ResourceExhaustedError,
    UnavailableError,
)
from aigc.generate.repository import ModelRepository
from aigc.services.job_runner import JobEnd, JobRunner
from aigc.services.training_limits import TrainingLimits
from aigc.store.paging import next_token, token_start
from aigc.training.data_source import DataChoice
from aigc.training.job import Job
from aigc.training.job_folder import JobFolder
from aigc.training.recipe import LOCAL_OPTIONS, Recipe, all_recipes
from aigc.training.run_spec import RunSpec

__all__ = ["ENDING", "JobPage", "Training", "TrainingRequest"]

ENDING = "the server is ending; its jobs go on when it is back, ask again then"
_log = logging.getLogger(__name__)
_PAGE, _MOST = 100, 1000
_WRITE_S = 1.0
_END_S = 60.0
_CANCEL_S = 20.0
_REQUEST_ID = 256


@dataclass(frozen=True, slots=True)
class TrainingRequest:
    """What is asked for.

    Attributes:
        kind: Of the recipe.
        model: Name of the model that gets a new version.
        options: By name, as typed.
        data: Which items.
        request_id: The same id asks for the same job; "" for none.
        from_model: ``name``, ``name@version`` or ``name@champion`` of the model to go on with; "" to begin anew.
    """

    kind: str
    model: str
    options: Mapping[str, str]
    data: DataChoice
    request_id: str = ""
    from_model: str = ""


@dataclass(frozen=True, slots=True)
class JobPage:
    """One page of jobs; ``next_page_token`` is empty on the last."""

    jobs: Sequence[Job]
    next_page_token: str


class Training:
    """The jobs of one data directory. All methods may be called from any thread."""

    def __init__(
        self,
        home: Path,
        store_url: str,
        limits: TrainingLimits | None = None,
        event_weights: Mapping[str, float] | None = None,
    ) -> None:
        """Nothing runs before :meth:`start`.

        Args:
            home: The data directory; jobs are in ``jobs/``, what comes of them in ``models/``.
            store_url: Where a job's process reads the catalogue.
            limits: What jobs may use.
            event_weights: Of event types, to tell what was liked.
        """
        self.problems: tuple[str, ...] = ()
        self._folder = JobFolder(home / "jobs")
        self._repository = ModelRepository(home / "models")
        self._store_url = store_url
        self._limits = limits or TrainingLimits()
        self._event_weights = event_weights
        # Guards everything below; notified of every change.
        self._changed = threading.Condition()
        self._jobs: dict[str, Job] = {}
        self._listeners: dict[str, list[Callable[[], object]]] = {}
        self._cancelled: set[str] = set()
        self._runner: JobRunner | None = None
        self._running_id = ""
        self._thread: threading.Thread | None = None
        self._closing = False
        self._started = False

    def start(self) -> None:
        """Take up the jobs that had not ended when the last server did."""
        with self._changed:
            if self._started:
                return
            self._started = True
            if not self._folder.root.is_dir():
                return
            self._jobs, self.problems = self._folder.read_all()
            for problem in self.problems:
                _log.error("a job was left out: %s", problem)
            if not self._folder.claim():
                self.problems = (*self.problems, self._elsewhere())
                return
            for job in [j for j in self._jobs.values() if j.state == "running"]:
                event = job.with_event("the server ended; taken up again")
                self._put(replace(job, state="queued", left_ms=0, events=event))
            self._work()

    def close(self) -> None:
        """Let the job in work write a checkpoint and end; it is taken up at the next start."""
        with self._changed:
            self._closing = True
            runner, thread = self._runner, self._thread
            self._changed.notify_all()
            self._tell_all()
        if runner is not None:
            runner.stop()
        if thread is not None:
            thread.join(_END_S)
            if thread.is_alive() and runner is not None:
                runner.kill()
                thread.join()
        self._folder.release()

    def recipes(self) -> list[Recipe]:
        """What can be trained, by kind."""
        return all_recipes()

    def submit(self, request: TrainingRequest) -> Job:
        """Queue a job; it is on disk when this returns.

        Raises:
            InvalidInputError: Kind, name, option or id without a meaning.
            NotFoundError: The model to begin from does not exist.
            AlreadyExistsError: The request id belongs to another request.
            ResourceExhaustedError: Too many jobs wait, or the disk is full.
            ConflictError: Another server runs the jobs of this directory.
        """
        if len(request.request_id) > _REQUEST_ID:
            raise InvalidInputError(f"request_id has more than {_REQUEST_ID} characters", field="request_id")
        for name in LOCAL_OPTIONS:
            if request.options.get(name):
                raise InvalidInputError(
                    f"{name} names a file, and no path comes from a request; train with `aigc generator train` there",
                    field=f"options[{name}]",
                )
        spec = RunSpec.checked(
            request.kind,
            request.model,
            request.options,
            request.data,
            self._repository,
            threads=self._limits.chosen_threads,
            from_model=request.from_model,
        )
        with self._changed:
            if self._closing:
                raise UnavailableError(ENDING, reason="SERVER_ENDING")
            if request.request_id and (known := self._asked(request)):
                return known
            waiting = sum(job.state == "queued" for job in self._jobs.values())
            # The one that is about to begin does not wait.
            if waiting >= self._limits.queue + (not self._running_id):
                raise ResourceExhaustedError(
                    f"{waiting} jobs wait already; cancel one, or raise training.queue", reason="JOB_QUEUE_FULL"
                )
            if not self._folder.claim():
                raise ConflictError(self._elsewhere(), reason="JOBS_ELSEWHERE")
            job = Job(
                spec.id,
                spec.kind,
                spec.model,
                options=dict(request.options),
                data=spec.data,
                from_model=request.from_model,
                request_id=request.request_id,
                created_ms=spec.created_ms,
            )
            self._folder.create(job, spec)
            self._jobs[job.id] = job
            self._work()
            return job

    def get(self, job_id: str) -> Job:
        """One job.

        Raises:
            NotFoundError: There is none of this id.
        """
        with self._changed:
            if job_id not in self._jobs:
                raise NotFoundError(
                    f"job {job_id[:64]!r} does not exist; list them to see those that do", reason="JOB_NOT_FOUND"
                )
            return self._jobs[job_id]

    def list(self, page_size: int = 0, page_token: str = "") -> JobPage:
        """The jobs, newest first.

        Raises:
            InvalidInputError: The size is negative, or the token is not one that was given.
        """
        if page_size < 0:
            raise InvalidInputError(f"page_size is {page_size}; give 0 or more", field="page_size")
        after = token_start(page_token, "jobs")
        size = min(page_size or _PAGE, _MOST)
        with self._changed:
            jobs = sorted(self._jobs.values(), key=_age, reverse=True)
        if after:
            created, _, job_id = after.partition(" ")
            jobs = [job for job in jobs if _age(job) < (int(created), job_id)]
        page = jobs[:size]
        more = len(jobs) > size
        return JobPage(page, next_token(f"{page[-1].created_ms} {page[-1].id}", "jobs") if more else "")

    def cancel(self, job_id: str) -> Job:
        """End a job; its folder stays. One that has ended stays as it is.

        Returns within half a minute, in the rule with the job cancelled; a step that takes longer ends later.

        Raises:
            NotFoundError: There is none of this id.
        """
        job = self.get(job_id)
        with self._changed:
            job = self._jobs[job_id]
            if job.ended:
                return job
            self._cancelled.add(job_id)
            if self._running_id != job_id:
                return self._put(replace(job, state="cancelled", ended_ms=_now()))
            runner = self._runner
        if runner is not None:
            runner.stop()
        with self._changed:
            self._changed.wait_for(lambda: self._jobs[job_id].ended or self._closing, _CANCEL_S)
            return self._jobs[job_id]

    def watch(self, job_id: str) -> Iterator[Job]:
        """The job as it is now, then whenever something about it changes, until it has ended. Blocks between.

        Raises:
            NotFoundError: There is none of this id.
            UnavailableError: The service was closed.
        """
        shown = self.get(job_id)
        yield shown
        while not shown.ended:
            with self._changed:
                self._changed.wait_for(lambda: self._closing or self._jobs[job_id] is not shown)  # noqa: B023
                if self._jobs[job_id] is shown:
                    raise UnavailableError(ENDING, reason="SERVER_ENDING")
                shown = self._jobs[job_id]
            yield shown

    def listen(self, job_id: str, on_change: Callable[[], object]) -> Callable[[], None]:
        """Have ``on_change`` called after each change of a job, from any thread, so it must be quickly done.

        Returns:
            What ends it.
        """
        with self._changed:
            self._listeners.setdefault(job_id, []).append(on_change)

        def end() -> None:
            with self._changed:
                listeners = self._listeners.get(job_id, [])
                if on_change in listeners:
                    listeners.remove(on_change)
                if not listeners:
                    self._listeners.pop(job_id, None)

        return end

    @property
    def closing(self) -> bool:
        """No job will change any more."""
        return self._closing

    def _elsewhere(self) -> str:
        return f"another server runs the jobs of {self._folder.root}; ask that one"

    def _asked(self, request: TrainingRequest) -> Job | None:
        known = next((j for j in self._jobs.values() if j.request_id == request.request_id), None)
        if known is None:
            return None
        if (known.kind, known.model, dict(known.options), known.data, known.from_model) != (
            request.kind,
            request.model,
            dict(request.options),
            request.data,
            request.from_model,
        ):
            raise AlreadyExistsError(
                f"request_id {request.request_id!r} asked for another training, job {known.id}; give a new id",
                reason="REQUEST_ID_USED",
                metadata={"job": known.id},
            )
        return known

    def _work(self) -> None:
        """Have a thread that runs what is queued; called with the lock."""
        self._changed.notify_all()
        if self._thread is None and any(j.state == "queued" for j in self._jobs.values()) and self._folder.claim():
            self._thread = threading.Thread(target=self._run_queue, name="training jobs", daemon=True)
            self._thread.start()

    def _run_queue(self) -> None:
        while True:
            with self._changed:
                queued = [j for j in self._jobs.values() if j.state == "queued"]
                if self._closing or not queued:
                    self._thread = None
                    return
                job = min(queued, key=_age)
                self._running_id = job.id
                job = self._put(replace(job, state="running", started_ms=job.started_ms or _now(), error=""))
            try:
                self._run_job(job)
            except Exception as error:
                _log.exception("job %s", job.id)
                with self._changed:
                    self._put(replace(self._jobs[job.id], state="failed", ended_ms=_now(), error=str(error)))
            finally:
                with self._changed:
                    self._runner, self._running_id = None, ""

    def _run_job(self, job: Job) -> None:
        runner = JobRunner(
            self._folder.run_folder(job.id),
            self._repository.root,
            self._folder.log(job.id),
            self._store_url,
            self._limits,
            self._event_weights,
        )
        with self._changed:
            self._runner = runner
            if self._closing or job.id in self._cancelled:
                runner.stop()
        first_step, written = -1, 0.0

        def on_progress(told: Mapping[str, Any]) -> None:
            nonlocal first_step, written
            with self._changed:
                before = self._jobs[job.id]
                if first_step < 0:
                    first_step = int(told["step"])
                now = time.monotonic()
                on_disk = bool(told["event"]) or now - written > _WRITE_S
                written = now if on_disk else written
                self._put(_moved(before, told), on_disk=on_disk)

        try:
            end = runner.run(on_progress)
        finally:
            runner.kill()
        with self._changed:
            self._put(self._ended(self._jobs[job.id], end, first_step))

    def _ended(self, job: Job, end: JobEnd, first_step: int) -> Job:
        """The job after its process ended."""
        job = replace(job, left_ms=0)
        if end.how == "made":
            return replace(job, state="succeeded", ended_ms=_now(), made=end.detail)
        if job.id in self._cancelled:
            return replace(job, state="cancelled", ended_ms=_now())
        if end.how == "stopped":
            return replace(job, state="queued", events=job.with_event("stopped with the server; to be taken up again"))
        if end.how == "killed" and (self._closing or job.step > first_step >= 0):
            # Such as for want of memory, by the system: what got ahead since its last start may try again.
            return replace(job, state="queued", events=job.with_event(f"{end.detail}; taken up again"))
        return replace(job, state="failed", ended_ms=_now(), error=end.detail)

    def _put(self, job: Job, *, on_disk: bool = True) -> Job:
        """Replace a job; called with the lock."""
        self._jobs[job.id] = job
        if on_disk:
            try:
                self._folder.write(job)
            except OSError as error:
                # The disk is full, say: the run's folder says where it stands, and the next change is written again.
                _log.error("job %s was not written: %s", job.id, error)
        self._changed.notify_all()
        for listener in self._listeners.get(job.id, ()):
            listener()
        return job

    def _tell_all(self) -> None:
        for listeners in self._listeners.values():
            for listener in listeners:
                listener()


def _moved(job: Job, told: Mapping[str, Any]) -> Job:
    """The job after a report of its process."""
    return replace(
        job,
        step=int(told["step"]),
        steps=int(told["steps"]),
        left_ms=int(float(told["seconds_left"]) * 1000) or job.left_ms,
        metrics=told["metrics"] or job.metrics,
        measures=told["measures"] or job.measures,
        events=job.with_event(str(told["event"])) if told["event"] else job.events,
    )


def _age(job: Job) -> tuple[int, str]:
    return job.created_ms, job.id


def _now() -> int:
    return int(time.time() * 1000)
