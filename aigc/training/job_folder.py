"""The jobs on disk: ``jobs/<id>/job.json`` written durably, and beside it the run's folder."""

from __future__ import annotations

import fcntl
import json
import os
from dataclasses import asdict
from pathlib import Path

from aigc import durable
from aigc.errors import AigcError, CorruptDataError
from aigc.training.job import Job
from aigc.training.run_spec import RunSpec

__all__ = ["JobFolder", "run_lock"]

_FORMAT = 1
_FILE = "job.json"
_REASON = "JOB_CORRUPT"


class JobFolder:
    """Reads and writes jobs; one process at a time, see :meth:`claim`."""

    def __init__(self, root: Path) -> None:
        """Args: root: made when the first job is."""
        self.root = root
        self._fd = -1

    def claim(self) -> bool:
        """Be the one process that runs these jobs, until :meth:`release`; False when another is."""
        if self._fd >= 0:
            return True
        self.root.mkdir(parents=True, exist_ok=True)
        fd = os.open(self.root / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(fd)
            return False
        self._fd = fd
        return True

    def release(self) -> None:
        """Let another process run the jobs."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def create(self, job: Job, spec: RunSpec) -> None:
        """Write a new job; it is on disk, whole, when this returns.

        Raises:
            ResourceExhaustedError: The disk is full.
        """
        self.root.mkdir(parents=True, exist_ok=True)
        durable.write_folder(
            self.root / job.id,
            lambda folder: spec.write(folder / "run"),
            _FILE,
            lambda _: _text(job),
            what=f"job {job.id}",
        )

    def write(self, job: Job) -> None:
        """Replace a job's file."""
        durable.replace_file(self.root / job.id / _FILE, _text(job))

    def read_all(self) -> tuple[dict[str, Job], tuple[str, ...]]:
        """Id → job, the oldest first, and what is wrong with those that cannot be read."""
        if not self.root.is_dir():
            return {}, ()
        jobs, problems = [], []
        for folder in self.root.iterdir():
            if folder.name.startswith(".") or not folder.is_dir():
                continue
            try:
                raw = durable.read_manifest(folder / _FILE, reason=_REASON, remedy="remove the job's folder")
                if raw.get("format") != _FORMAT:
                    raise CorruptDataError(f"{folder / _FILE} is of another format; upgrade aigc", reason=_REASON)
                jobs.append(Job.from_json(raw))
            except AigcError as error:
                problems.append(error.message)
        return {job.id: job for job in sorted(jobs, key=lambda j: (j.created_ms, j.id))}, tuple(problems)

    def run_folder(self, job_id: str) -> Path:
        """Where a job's checkpoints, measures and pictures are."""
        return self.root / job_id / "run"

    def log(self, job_id: str) -> Path:
        """What the job's process wrote on standard error."""
        return self.root / job_id / "log.txt"


def run_lock(folder: Path, *, wait: bool = True) -> int:
    """Be the one process that trains in a run's folder, until it ends or closes the descriptor that this returns.

    Args:
        folder: Of the run.
        wait: For another process to end; without, -1 is returned when there is one.
    """
    fd = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(fd)
        return -1
    return fd


def _text(job: Job) -> str:
    return json.dumps({"format": _FORMAT, **asdict(job)}, ensure_ascii=False, indent=1) + "\n"
