"""``python -m aigc.training.job_process RUN_FOLDER MODELS_FOLDER``: one job, in a process of its own.

Its standard input is a pipe that the parent holds. The first line tells what need not stand in a list of processes;
when the pipe ends, be it that the parent wants so or that it died, the run writes a checkpoint after the step in work
and ends. On standard output it tells what happens, a JSON object a line.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from aigc.errors import AigcError
from aigc.quiet_work import stand_back
from aigc.training.job_folder import run_lock

__all__ = ["main"]

# A step, or what is done before the first one, may take long; a process whose parent is gone may not live on for ever.
_GRACE_S = 120.0


class Messages:
    """Lines to the parent; when nobody reads them any more, nothing is said and the run stops."""

    def __init__(self, gone: threading.Event) -> None:
        """Args: gone: set when the parent is."""
        self._gone = gone

    def tell(self, **values: Any) -> None:
        """One line."""
        with suppress(BrokenPipeError):
            try:
                sys.stdout.write(json.dumps(values, ensure_ascii=False) + "\n")
                sys.stdout.flush()
            except BrokenPipeError:
                self._gone.set()
                # What is left in the buffer must not fail again when the interpreter ends.
                os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def main() -> int:
    """Run; the exit code is 0 whenever the last line said how it ended."""
    folder, models = Path(sys.argv[1]), Path(sys.argv[2])
    told = json.loads(_first_line() or "{}")
    gone = threading.Event()
    # A Ctrl-C in the server's terminal reaches this process too; the server tells it what to do.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: gone.set())
    threading.Thread(target=_listen, args=(gone,), name="parent", daemon=True).start()
    stand_back(int(told.get("niceness", 0)))
    messages = Messages(gone)
    lock = run_lock(folder)
    try:
        _run(folder, models, told, gone, messages)
    except AigcError as error:
        messages.tell(end="failed", error=error.message, reason=error.reason)
    except MemoryError:
        messages.tell(end="failed", error="there is not enough memory; give fewer or smaller data (data.limit)")
    finally:
        os.close(lock)
    return 0


def _run(folder: Path, models: Path, told: Mapping[str, Any], gone: threading.Event, messages: Messages) -> None:
    # Torch takes seconds to load: only once this process is the one that trains here.
    from aigc.generate.repository import ModelRepository
    from aigc.profiles.weights import EventWeights
    from aigc.store.sql import open_store
    from aigc.training.run import TrainingRun
    from aigc.training.run_spec import RunSpec

    run = TrainingRun(
        folder,
        RunSpec.read(folder),
        ModelRepository(models),
        lambda: open_store(str(told.get("store_url", "")), read_only=True),
        stop=gone.is_set,
        weights=EventWeights(told["event_weights"]) if "event_weights" in told else None,
    )
    for progress in run.train():
        report = {k: v for k, v in asdict(progress).items() if k != "sheet"}
        messages.tell(progress=report)
    if run.stopped:
        messages.tell(end="stopped")
    else:
        messages.tell(end="made", model=run.made)


def _first_line() -> bytes:
    """Unbuffered: a thread that waits in a buffered read keeps the interpreter from ending."""
    line = b""
    while not line.endswith(b"\n"):
        part = os.read(0, 65_536)
        if not part:
            break
        line += part
    return line


def _listen(gone: threading.Event) -> None:
    while os.read(0, 65_536):
        pass
    gone.set()
    timer = threading.Timer(_GRACE_S, os._exit, (3,))
    timer.daemon = True
    timer.start()


if __name__ == "__main__":
    sys.exit(main())
