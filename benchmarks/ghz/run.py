"""Starts a server on a small world, puts every configuration's load on it with ghz, judges, and ends by itself.

    python benchmarks/ghz/run.py [--out FOLDER] [--only WORDS] [--seconds N] [--update]

A configuration is a file in ``configs/``: ghz's own settings, and the call's data as ghz's template. ``$png``, ``$job``
and ``$pending_0`` … stand for what only the running server knows.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import string
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc

from aigc.v1 import (
    creation_pb2,
    creation_service_pb2,
    creation_service_pb2_grpc,
    recommendation_service_pb2,
    recommendation_service_pb2_grpc,
    training_service_pb2,
    training_service_pb2_grpc,
)

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
GHZ = ROOT / ".tools" / "bin" / "ghz"
PENDING = 4
ORDERS = 5
PEER_RUNS = 3


@contextmanager
def process(command: list[str], note: Path, **options: Any) -> Iterator[str]:
    """Runs while the block does; gives what it wrote into ``note``."""
    note.unlink(missing_ok=True)
    started = subprocess.Popen(command, stdout=subprocess.DEVNULL, **options)
    try:
        until = time.monotonic() + 60
        while not (note.exists() and note.read_text().strip()):
            if started.poll() is not None or time.monotonic() > until:
                raise SystemExit(f"{' '.join(command)} did not start")
            time.sleep(0.05)
        yield note.read_text()
    finally:
        started.send_signal(signal.SIGTERM)
        try:
            started.wait(30)
        except subprocess.TimeoutExpired:
            started.kill()
            started.wait()


def prepare(address: str, known: dict[str, str]) -> bytes:
    """Make what some configurations need to be there already; gives a reply of Recommend's."""
    with grpc.insecure_channel(address) as channel:
        creations: Any = creation_service_pb2_grpc.CreationServiceStub(channel)
        order = creation_service_pb2.GenerateForUserRequest(
            user_id="user-1", n=2 * PENDING, kind="image", strategy="reviewed", force=True
        )
        pending: list[str] = []
        refused: list[str] = []
        for _ in range(ORDERS):
            for step in creations.GenerateForUser(order, timeout=120):
                if step.creation.state == creation_pb2.CREATION_STATE_PENDING:
                    pending.append(step.creation.id)
                elif step.HasField("creation"):
                    refused.append(step.creation.detail)
            if len(pending) >= PENDING:
                break
        else:
            raise SystemExit(f"{len(pending)} of {PENDING} creations wait for a review; refused: {refused}")
        known |= {f"pending_{i}": id_ for i, id_ in enumerate(pending)}
        training: Any = training_service_pb2_grpc.TrainingServiceStub(channel)
        job = training.StartTraining(
            training_service_pb2.StartTrainingRequest(
                request_id="load", kind="gan", model=known["job_model"], options={"trainer.steps": "1"}
            ),
            timeout=30,
        ).job
        training.CancelJob(training_service_pb2.CancelJobRequest(id=job.id), timeout=60)
        known["job"] = job.id
        recommend: Any = recommendation_service_pb2_grpc.RecommendationServiceStub(channel)
        reply = recommend.Recommend(recommendation_service_pb2.RecommendRequest(user_id="user-1", n=20), timeout=30)
        return bytes(reply.SerializeToString())


def load(name: str, config: Path, address: str, known: dict[str, str], out: Path, seconds: float) -> None:
    """Run one configuration; ghz's report goes to ``out``."""
    settings = json.loads(string.Template(config.read_text(encoding="utf-8")).safe_substitute(known))
    if seconds and settings.get("duration") == "1s":
        settings["duration"] = f"{seconds:g}s"
    filled = out.with_suffix(".config")
    filled.write_text(json.dumps(settings), encoding="utf-8")
    done = subprocess.run(
        [str(GHZ), "--config", str(filled), "--format", "json", "--output", str(out), "--name", name, address],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    filled.unlink()
    if done.returncode or not out.exists():
        raise SystemExit(f"ghz could not run {name}: {(done.stdout + done.stderr)[:500]}")


def measure(folder: Path, home: Path, only: str, seconds: float) -> None:
    """All configurations, the peer's runs between them."""
    from world import make_world

    known = make_world(home)
    configs = [c for c in sorted((HERE / "configs").glob("*.json")) if only in c.stem]
    command = [sys.executable, "-m", "aigc_server.cli", "serve", "--listen", "127.0.0.1:0", "--log-level", "warning"]
    peers: list[Path] = []
    with process(
        [*command, "--home", str(home)], home / "server.json", env=os.environ | {"AIGC_LOG__SLOW_MS": "0"}
    ) as note:
        address = json.loads(note)["address"]
        reply = home / "reply"
        reply.write_bytes(prepare(address, known))
        with process([sys.executable, str(HERE / "peer.py"), str(reply), str(home / "peer")], home / "peer") as port:
            for i, config in enumerate(configs):
                if i in {len(configs) * n // PEER_RUNS for n in range(PEER_RUNS)}:
                    peers.append(folder / f"peer-{i}.json")
                    recommend = HERE / "configs" / "RecommendationService.Recommend.json"
                    load("peer", recommend, f"127.0.0.1:{port}", known, peers[-1], seconds)
                began = time.perf_counter()
                load(config.stem, config, address, known, folder / f"{config.stem}.json", seconds)
                print(f"{config.stem} ({time.perf_counter() - began:.1f} s)", file=sys.stderr)
    # The middle one of them stands for the peer.
    ranked = sorted(peers, key=lambda p: float(json.loads(p.read_text())["rps"]))
    middle = ranked[len(ranked) // 2].read_text()
    for path in peers:
        path.unlink()
    (folder / "peer.json").write_text(middle)


def main() -> int:
    """Measure and judge."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, help="keep ghz's reports in this folder")
    parser.add_argument("--only", default="", help="configurations whose name has these words")
    parser.add_argument("--seconds", type=float, default=0.0, help="of each configuration that runs for a time")
    parser.add_argument("--update", action="store_true", help="make this run the baseline")
    arguments = parser.parse_args()
    if not GHZ.exists():
        raise SystemExit(f"{GHZ} is missing; run `make tools` (needs Go)")
    began = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="aigc-load-") as made:
        folder = arguments.out or Path(made) / "results"
        folder.mkdir(parents=True, exist_ok=True)
        for old in folder.glob("*.json"):
            old.unlink()
        measure(folder, Path(made) / "home", arguments.only, arguments.seconds)
        told = [sys.executable, str(HERE / "check.py"), str(folder), *(["--update"] if arguments.update else [])]
        if arguments.only:
            told += ["--baseline", str(Path(made) / "none")]
        code = subprocess.run(told, check=False).returncode
    print(f"{time.perf_counter() - began:.0f} s in all")
    return code


if __name__ == "__main__":
    sys.exit(main())
