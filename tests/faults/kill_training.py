"""Kill a real training with SIGKILL again and again, while it trains and while it writes a checkpoint; compare the end.

python -m tests.faults.kill_training --kills 20                  # `aigc generator train`, killed and called again
python -m tests.faults.kill_training --kills 20 --server         # `aigc serve` with a job, killed and started again
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psutil

from aigc.v1 import job_pb2
from aigc.v1 import training_service_pb2 as pb
from aigc.v1.training_service_pb2_grpc import TrainingServiceStub
from tests.faults.process import PATIENCE_S, ServerProcess
from tests.training.dots import TINY, dot_store

_LOOK_S = 0.0005


@dataclass(frozen=True)
class Outcome:
    """What came of it.

    Attributes:
        kills: In all.
        in_writing: After which a half-written checkpoint lay there.
        resumed: How often a run went on from a checkpoint.
        same_model: The model's file is that of the uninterrupted run, byte by byte.
        same_state: So are the last checkpoint's weights, averages and optimisers.
        versions: Of the model in the end; one is right.
    """

    kills: int
    in_writing: int
    resumed: int
    same_model: bool
    same_state: bool
    versions: int

    @property
    def holds(self) -> bool:
        return self.same_model and self.same_state and self.versions == 1


def options_of(steps: int) -> dict[str, str]:
    return {**TINY, "trainer.steps": str(steps), "trainer.log_every": "1", "trainer.checkpoint_every": "3"}


def kill_training(folder: Path, *, kills: int, steps: int, seed: int) -> Outcome:
    """The command line, killed ``kills`` times: in turns while it trains and while it writes a checkpoint."""
    rng = random.Random(seed)
    home = folder / "home"
    dot_store(home).close()
    whole, killed = folder / "whole", folder / "killed"
    _command(home, "whole", whole, steps).wait()
    in_writing = 0
    for turn in range(kills):
        process = _command(home, "killed", killed, steps)
        in_writing += _kill_at(killed, (turn + 1) * steps // (kills + 1), turn % 2 == 1, process.kill, rng)
        process.wait()
    assert _command(home, "killed", killed, steps).wait() == 0, "the last run failed"
    return _compare(home, "whole", whole, "killed", killed, steps, kills, in_writing)


def kill_server(folder: Path, *, kills: int, steps: int, seed: int) -> Outcome:
    """A server with a training job, killed ``kills`` times; the job's process must end by itself each time."""
    rng = random.Random(seed)
    home = folder / "home"
    dot_store(home).close()
    whole = folder / "whole"
    _command(home, "whole", whole, steps).wait()
    environment = {"AIGC_TRAINING__THREADS": "1", "AIGC_TRAINING__NICENESS": "0", "AIGC_GENERATION__ENABLED": "false"}
    job_id, in_writing, run = "", 0, folder
    for turn in range(kills + 1):
        with ServerProcess(home, **environment) as server:
            stub = TrainingServiceStub(server.channel)
            if not job_id:
                request = pb.StartTrainingRequest(request_id="r", kind="gan", model="killed", options=options_of(steps))
                job_id = stub.StartTraining(request, timeout=PATIENCE_S).job.id
                run = home / "jobs" / job_id / "run"
            if turn == kills:
                last = [r.job for r in stub.WatchJob(pb.WatchJobRequest(id=job_id), timeout=600)][-1]
                assert last.state == job_pb2.JOB_STATE_SUCCEEDED, last
                break
            children = psutil.Process(server.process.pid).children(recursive=True)
            in_writing += _kill_at(run, (turn + 1) * steps // (kills + 1), turn % 2 == 1, server.kill, rng)
            children += [p for p in psutil.process_iter() if str(run) in " ".join(_line(p))]
            alive = psutil.wait_procs(children, timeout=PATIENCE_S)[1]
            assert not alive, f"a job outlived its server: {alive}"
    return _compare(home, "whole", whole, "killed", run, steps, kills, in_writing)


def _line(process: psutil.Process) -> list[str]:
    try:
        return list(process.cmdline())
    except psutil.Error:
        return []


def _command(home: Path, name: str, folder: Path, steps: int) -> subprocess.Popen[bytes]:
    given = [part for option in options_of(steps).items() for part in ("--set", "=".join(option))]
    command = ["generator", "train", "gan", "--name", name, "--folder", str(folder), "--home", str(home), *given]
    with (home.parent / f"{name}.log").open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "aigc_server.cli", *command, "--threads", "1"],
            stdout=log,
            stderr=log,
            env=os.environ | {"OMP_NUM_THREADS": "1"},
        )


def _kill_at(run: Path, step: int, writing: bool, kill: Callable[[], None], rng: random.Random) -> int:
    """Wait for the step, then for a checkpoint in writing or for none; 1 when the kill left a half-written one."""
    deadline = time.monotonic() + 10 * PATIENCE_S
    while _step(run) < step:
        assert time.monotonic() < deadline, f"step {step} was not reached"
        time.sleep(0.01)
    while _partial(run) != writing:
        assert time.monotonic() < deadline, "no such moment came"
        time.sleep(_LOOK_S * rng.random())
    kill()
    return int(_partial(run))


def _partial(run: Path) -> bool:
    try:
        return any(name.startswith(".partial-") for name in os.listdir(run / "checkpoints"))  # noqa: PTH208 - fast
    except FileNotFoundError:
        return False


def _step(run: Path) -> int:
    try:
        lines = (run / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
        return int(json.loads(lines[-1])["step"]) if lines else 0
    except (FileNotFoundError, ValueError):
        return 0


def _compare(
    home: Path, whole: str, whole_run: Path, killed: str, killed_run: Path, steps: int, kills: int, in_writing: int
) -> Outcome:
    last = f"checkpoints/{steps:09d}"
    parts = ("weights.safetensors", "averages.safetensors", "optimizers.safetensors")
    lines = [json.loads(line) for line in (killed_run / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    return Outcome(
        kills=kills,
        in_writing=in_writing,
        resumed=sum("resumed" in str(line.get("event", "")) for line in lines),
        same_model=_hash(home / "models" / whole / "1" / "model.safetensors")
        == _hash(home / "models" / killed / "1" / "model.safetensors"),
        same_state=all(_hash(whole_run / last / p) == _hash(killed_run / last / p) for p in parts),
        versions=sum(p.name.isdigit() for p in (home / "models" / killed).iterdir()),
    )


def _hash(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--steps", type=int, default=420)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--server", action="store_true", help="kill a server that trains instead of the command")
    arguments = parser.parse_args()
    started = time.perf_counter()
    kill = kill_server if arguments.server else kill_training
    with tempfile.TemporaryDirectory() as folder:
        outcome = kill(Path(folder), kills=arguments.kills, steps=arguments.steps, seed=arguments.seed)
    print(f"{outcome} in {time.perf_counter() - started:.0f} s")  # noqa: T201
    return 0 if outcome.holds else 1


if __name__ == "__main__":
    sys.exit(main())
