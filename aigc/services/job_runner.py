"""The process of a job, as its parent sees it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from aigc.services.training_limits import TrainingLimits

__all__ = ["JobEnd", "JobRunner"]

_LOG_LINES = 3


@dataclass(frozen=True, slots=True)
class JobEnd:
    """How a job's process ended.

    Attributes:
        how: ``made`` a model; ``stopped`` as it was told; ``failed`` and said why; ``killed`` by a signal; or it
            ``broke`` without a word.
        detail: The model's ``name@version``, or what went wrong.
    """

    how: Literal["made", "stopped", "failed", "killed", "broke"]
    detail: str = ""


class JobRunner:
    """Starts the process, listens to it, and can make it stop."""

    def __init__(
        self,
        run_folder: Path,
        models: Path,
        log: Path,
        store_url: str,
        limits: TrainingLimits,
        event_weights: Mapping[str, float] | None = None,
    ) -> None:
        """Start.

        Args:
            run_folder: With ``run.json``.
            models: Of the repository.
            log: Gets its standard error.
            store_url: Of the catalogue.
            limits: What it may use.
            event_weights: Of event types; None for the built-in ones.
        """
        self._log = log
        with log.open("ab") as errors:
            self._process = subprocess.Popen(  # noqa: S603 - our own module in our own interpreter
                [sys.executable, "-m", "aigc.training.job_process", str(run_folder), str(models)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                # Libraries read the number when they are loaded, before the job can say it.
                env={**os.environ, "OMP_NUM_THREADS": str(limits.chosen_threads)},
            )
        told: dict[str, Any] = {"store_url": store_url, "niceness": limits.niceness}
        self._say(told | ({"event_weights": dict(event_weights)} if event_weights else {}))

    @property
    def pid(self) -> int:
        """Of the process."""
        return self._process.pid

    def run(self, on_progress: Callable[[Mapping[str, Any]], None]) -> JobEnd:
        """Listen until the process has ended.

        Args:
            on_progress: Told the fields of each :class:`aigc.training.trainer.TrainingProgress`.
        """
        last: dict[str, Any] = {}
        assert self._process.stdout is not None
        with self._process.stdout as lines:
            for line in lines:
                with suppress(ValueError):
                    last = json.loads(line)
                    if "progress" in last:
                        on_progress(last["progress"])
        code = self._process.wait()
        self._close()
        end = last.get("end")
        if end == "made":
            return JobEnd("made", str(last["model"]))
        if end == "stopped":
            return JobEnd("stopped")
        if end == "failed":
            return JobEnd("failed", str(last["error"]))
        if code < 0:
            return JobEnd("killed", f"its process was ended by {signal.Signals(-code).name}")
        return JobEnd("broke", f"its process ended with code {code}: {self._last_words()}")

    def stop(self) -> None:
        """Make it write a checkpoint and end; :meth:`run` returns when it did."""
        self._close()

    def kill(self) -> None:
        """End it at once, if it did not end yet; it loses what it did since its last checkpoint."""
        self._process.kill()
        self._process.wait()

    def _say(self, told: Mapping[str, Any]) -> None:
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):
            self._process.stdin.write(json.dumps(told).encode() + b"\n")
            self._process.stdin.flush()

    def _close(self) -> None:
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):
            self._process.stdin.close()

    def _last_words(self) -> str:
        lines = self._log.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-_LOG_LINES:]
        return f"{' / '.join(line.strip() for line in lines) or 'it said nothing'} (all of it in {self._log})"
