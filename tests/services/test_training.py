"""The queue of training jobs: with a scripted process where the queue is meant, else with a real one."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from queue import Queue
from typing import Any

import pytest

from aigc.errors import (
    AlreadyExistsError,
    ConflictError,
    InvalidInputError,
    NotFoundError,
    ResourceExhaustedError,
    UnavailableError,
)
from aigc.generate.repository import ModelRepository
from aigc.services import training as module
from aigc.services.job_runner import JobEnd, JobRunner
from aigc.services.training import Training, TrainingRequest
from aigc.services.training_limits import TrainingLimits
from aigc.training.data_source import DataChoice
from aigc.training.job import Job
from tests.training.dots import TINY, dot_store, store_url

REQUEST = TrainingRequest("gan", "dots", {"trainer.steps": "10"}, DataChoice())
PATIENCE_S = 60


def report(step: int, event: str = "", **metrics: float) -> dict[str, Any]:
    return {
        "step": step,
        "steps": 10,
        "metrics": metrics,
        "measures": {},
        "seconds": 1.0,
        "seconds_left": 2.5,
        "event": event,
    }


class Script:
    """Stands in for the processes of jobs: each :meth:`take` gives the next one that was started."""

    def __init__(self) -> None:
        self.started: Queue[ScriptedRunner] = Queue()

    def __call__(self, run_folder: Path, *_: object) -> ScriptedRunner:
        runner = ScriptedRunner(run_folder)
        self.started.put(runner)
        return runner

    def take(self) -> ScriptedRunner:
        return self.started.get(timeout=PATIENCE_S)


class ScriptedRunner:
    """A process that does what the test says."""

    def __init__(self, run_folder: Path) -> None:
        self.run_folder = run_folder
        self.stopped = threading.Event()
        self._told: Queue[dict[str, Any] | JobEnd] = Queue()

    def run(self, on_progress: Callable[[Mapping[str, Any]], None]) -> JobEnd:
        while not isinstance(told := self._told.get(timeout=PATIENCE_S), JobEnd):
            on_progress(told)
        return told

    def stop(self) -> None:
        self.stopped.set()
        self._told.put(JobEnd("stopped"))

    def kill(self) -> None:
        pass

    def tell(self, told: dict[str, Any] | JobEnd) -> None:
        self._told.put(told)


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> Script:
    script = Script()
    monkeypatch.setattr(module, "JobRunner", script)
    return script


@pytest.fixture
def training(tmp_path: Path, script: Script) -> Iterator[Training]:
    made = Training(tmp_path, "", TrainingLimits(queue=3))
    made.start()
    yield made
    made.close()


def until(training: Training, job_id: str, state: str) -> Job:
    return next(job for job in training.watch(job_id) if job.state == state)


def test_a_job_is_watched_from_its_start_to_its_model(training: Training, script: Script) -> None:
    job = training.submit(REQUEST)
    runner = script.take()
    seen = training.watch(job.id)
    runner.tell(report(0, "learning from 40 images"))
    assert next(j for j in seen if j.events).events == ("learning from 40 images",)
    runner.tell(report(5, loss=0.5))
    half = next(j for j in seen if j.step == 5)
    assert (half.steps, half.metrics, half.left_ms, half.state) == (10, {"loss": 0.5}, 2500, "running")
    runner.tell(JobEnd("made", "dots@1"))
    last = list(seen)[-1]
    assert (last.state, last.made, last.left_ms) == ("succeeded", "dots@1", 0)
    assert last.created_ms <= last.started_ms <= last.ended_ms
    assert training.get(job.id) == last


def test_one_job_runs_at_a_time_in_the_order_of_asking(training: Training, script: Script) -> None:
    jobs = [training.submit(replace(REQUEST, model=f"m{i}")) for i in range(3)]
    for job in jobs:
        runner = script.take()
        assert script.started.empty()
        assert runner.run_folder.parent.name == job.id
        runner.tell(JobEnd("made", f"{job.model}@1"))
        until(training, job.id, "succeeded")


def test_the_same_request_id_asks_for_the_same_job(training: Training, script: Script) -> None:
    one = training.submit(replace(REQUEST, request_id="r"))
    assert training.submit(replace(REQUEST, request_id="r")).id == one.id
    with pytest.raises(AlreadyExistsError, match=f"asked for another training, job {one.id}"):
        training.submit(replace(REQUEST, request_id="r", model="other"))
    assert len(training.list().jobs) == 1
    with pytest.raises(InvalidInputError, match="request_id"):
        training.submit(replace(REQUEST, request_id="r" * 257))


def test_a_full_queue_refuses_one_more(training: Training, script: Script) -> None:
    for _ in range(4):
        training.submit(REQUEST)
        if script.started.qsize() == 0:
            until(training, training.list().jobs[-1].id, "running")
    with pytest.raises(ResourceExhaustedError, match="3 jobs wait already"):
        training.submit(REQUEST)


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"kind": "gnn"}, "kind"),
        ({"model": "No Name"}, "model"),
        ({"options": {"trainer.stps": "3"}}, "options[trainer.stps]"),
        ({"options": {"gan.loss": "x"}}, "options[gan.loss]"),
    ],
)
def test_a_wrong_request_is_refused_at_once_and_leaves_nothing(
    training: Training, changed: dict[str, Any], field: str
) -> None:
    with pytest.raises(InvalidInputError) as caught:
        training.submit(replace(REQUEST, **changed))
    assert caught.value.field == field
    assert not training.list().jobs


def test_jobs_come_in_pages_newest_first(training: Training, script: Script) -> None:
    made = [training.submit(REQUEST).id for _ in range(4)]
    first = training.list(page_size=3)
    second = training.list(page_size=3, page_token=first.next_page_token)
    assert len(first.jobs) == 3
    assert second.next_page_token == ""
    listed = [job.id for job in (*first.jobs, *second.jobs)]
    assert sorted(listed) == sorted(made)
    created = [training.get(i).created_ms for i in listed]
    assert created == sorted(created, reverse=True)
    for size, token in ((-1, ""), (1, "nonsense")):
        with pytest.raises(InvalidInputError):
            training.list(size, token)
    with pytest.raises(NotFoundError, match=r"job '\.\./\.\./etc' does not exist"):
        training.get("../../etc")


def test_cancelling_ends_a_job_that_runs_and_one_that_waits(training: Training, script: Script) -> None:
    runs, waits = training.submit(REQUEST), training.submit(REQUEST)
    runner = script.take()
    assert training.cancel(waits.id).state == "cancelled"
    assert training.cancel(runs.id).state == "cancelled"
    assert runner.stopped.is_set()
    assert training.cancel(runs.id).state == "cancelled", "a second time changes nothing"
    assert runner.run_folder.exists(), "what it learned stays"


def test_a_failure_says_why_and_the_next_job_runs(training: Training, script: Script) -> None:
    job, next_job = training.submit(REQUEST), training.submit(REQUEST)
    script.take().tell(JobEnd("failed", "the catalogue has no pictures"))
    failed = until(training, job.id, "failed")
    assert failed.error == "the catalogue has no pictures"
    script.take().tell(JobEnd("broke", "its process ended with code 1: boom"))
    assert until(training, next_job.id, "failed").error == "its process ended with code 1: boom"


def test_a_process_killed_from_outside_goes_on_when_it_got_ahead_and_fails_when_not(
    training: Training, script: Script
) -> None:
    job = training.submit(REQUEST)
    runner = script.take()
    runner.tell(report(0))
    runner.tell(report(4))
    runner.tell(JobEnd("killed", "its process was ended by SIGKILL"))
    again = script.take()
    assert training.get(job.id).events[-1] == "its process was ended by SIGKILL; taken up again"
    again.tell(report(4, "resumed at step 4"))
    again.tell(JobEnd("killed", "its process was ended by SIGKILL"))
    assert until(training, job.id, "failed").error == "its process was ended by SIGKILL"


def test_a_server_that_ends_stops_its_job_and_the_next_one_takes_it_up(
    tmp_path: Path, training: Training, script: Script
) -> None:
    job = training.submit(REQUEST)
    waiting = training.submit(REQUEST)
    runner = script.take()
    runner.tell(report(3))
    until_step = next(j for j in training.watch(job.id) if j.step == 3)
    training.close()
    assert until_step.state == "running"
    assert runner.stopped.is_set()
    with pytest.raises(UnavailableError, match="the server is ending"):
        list(training.watch(job.id))
    with pytest.raises(UnavailableError):
        training.submit(REQUEST)
    after = Training(tmp_path, "")
    after.start()
    try:
        first = script.take()
        assert first.run_folder.parent.name == job.id
        assert after.get(job.id).events[-1] == "stopped with the server; to be taken up again"
        first.tell(JobEnd("made", "dots@1"))
        assert script.take().run_folder.parent.name == waiting.id
    finally:
        after.close()


def test_a_job_of_a_server_that_was_killed_is_taken_up(tmp_path: Path, training: Training, script: Script) -> None:
    job = training.submit(REQUEST)
    script.take()
    training.close()
    # What a killed server leaves behind: a job that runs.
    path = tmp_path / "jobs" / job.id / "job.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"state": "running"}))
    (tmp_path / "jobs" / ".partial-x").mkdir()
    broken = tmp_path / "jobs" / "broken"
    broken.mkdir()
    (broken / "job.json").write_text("{")
    after = Training(tmp_path, "")
    after.start()
    try:
        script.take()
        assert "the server ended; taken up again" in after.get(job.id).events
        assert len(after.problems) == 1
        assert "broken" in after.problems[0]
    finally:
        after.close()


def test_two_servers_do_not_run_the_same_jobs(tmp_path: Path, training: Training, script: Script) -> None:
    training.submit(REQUEST)
    script.take()
    other = Training(tmp_path, "")
    other.start()
    assert "another server runs the jobs" in other.problems[0]
    assert script.started.empty()
    with pytest.raises(ConflictError, match="another server runs the jobs"):
        other.submit(REQUEST)
    other.close()


def test_a_real_process_trains_a_model_and_another_says_why_it_cannot(tmp_path: Path) -> None:
    dot_store(tmp_path).close()
    training = Training(tmp_path, store_url(tmp_path), TrainingLimits(threads=1, niceness=0))
    training.start()
    try:
        good = training.submit(TrainingRequest("gan", "dots", TINY, DataChoice()))
        bad = training.submit(TrainingRequest("gan", "dots", TINY, DataChoice(categories=("none",))))
        made = list(training.watch(good.id))[-1]
        assert (made.state, made.made, made.error) == ("succeeded", "dots@1", "")
        assert (made.step, made.steps) == (12, 12)
        assert 0 <= made.measures["diversity"] <= 1
        assert made.metrics["generator_loss"] > 0
        assert ModelRepository(tmp_path / "models").get("dots").measures == made.measures
        failed = list(training.watch(bad.id))[-1]
        assert failed.state == "failed"
        assert failed.error.startswith("the catalogue of category none has no pictures; import some")
    finally:
        training.close()


def test_a_real_process_that_cannot_read_its_run_names_the_file(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "run.json").write_text("{}")
    (tmp_path / "models").write_text("")
    runner = JobRunner(tmp_path / "run", tmp_path / "models", tmp_path / "log", "", TrainingLimits(niceness=0))
    end = runner.run(lambda _: None)
    assert end.how == "failed"
    assert "run.json" in end.detail
