"""The generator process is killed at random moments of GenerateForUser, again and again: who notices, and how?

All the while one thread asks Recommend of the same server for the same users and times each answer; another reads the
health of GenerationService. Each round starts a GenerateForUser and kills the process with SIGKILL after a random
time. What must hold: Recommend answers every time, as fast as before; health goes NOT_SERVING and SERVING again; every
call ends, with its result or with UNAVAILABLE and a reason; what was admitted before the kill is still there; the
process starts again and makes pictures.

Prediction, written before the run: p99 of Recommend during the kills within three times that before, no error of it;
every killed call ends within 5 s; the process is back within 35 s, the longest pause between two starts.

python benchmarks/loop_kill.py --gan FOLDER [--kills 20]
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import grpc
import numpy as np
from google.rpc import error_details_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_status import rpc_status
from loop_home import Caller, build_home, digits, likes, tastes

from aigc.v1 import creation_pb2, generation_service_pb2
from aigc_server.simulation_client import ServedHome

SERVICE = generation_service_pb2.DESCRIPTOR.services_by_name["GenerationService"].full_name
SERVING = health_pb2.HealthCheckResponse.SERVING


class Watch:
    """Asks Recommend all the time, in a thread of its own."""

    def __init__(self, caller: Caller, users: int) -> None:
        self._caller, self._users = caller, users
        self.times: list[tuple[float, float]] = []
        self.errors: list[str] = []
        self.empty = 0
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._ask)
        self._thread.start()

    def _ask(self) -> None:
        turn = 0
        while not self._end.is_set():
            began = time.perf_counter()
            try:
                answer = self._caller.recommend(f"user-{turn % self._users}", 20)
                self.empty += len(answer.items) < 20
                self.times.append((began, time.perf_counter() - began))
            except grpc.RpcError as error:
                self.errors.append(str(error))
            turn += 1
            time.sleep(0.005)

    def close(self) -> None:
        """End it."""
        self._end.set()
        self._thread.join()


def generator_pid(home: Path) -> int:
    """The generator of the server over this data directory; 0 when there is none now."""
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                words = (folder / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if b"aigc_server.generator" in words and str(home).encode() in words:
                return int(folder.name)
    return 0


def reason_of(error: Any) -> str:
    """CODE/REASON of an error as the server tells it."""
    status = rpc_status.from_call(error)
    reason = ""
    for detail in status.details if status else ():
        info = error_details_pb2.ErrorInfo()
        if detail.Unpack(info):
            reason = info.reason
    return f"{error.code().name}/{reason}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gan", type=Path, required=True)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--patience", type=float, default=60.0)
    arguments = parser.parse_args()
    dice = random.Random(0)
    users = 20
    items, favourites, rng = digits(2000), tastes(users), np.random.default_rng(3)
    events = [e for u, f in enumerate(favourites) for e in likes(f"user-{u}", f, items, rng)]
    ends: Counter[str] = Counter()
    lasted, down, back, kept = [], [], [], []
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "home"
        build_home(home, items, events, {"digits": arguments.gan})
        with ServedHome(home) as channel:
            caller = Caller(channel)
            health: Any = health_pb2_grpc.HealthStub(channel)

            def status() -> int:
                return health.Check(health_pb2.HealthCheckRequest(service=SERVICE), timeout=5).status

            caller.admitted("user-0", 1)
            watch = Watch(caller, users)
            time.sleep(10)
            killing = time.perf_counter()
            for turn in range(arguments.kills):
                pid = generator_pid(home)
                result: dict[str, Any] = {}

                def call(result: dict[str, Any] = result, turn: int = turn) -> None:
                    began = time.perf_counter()
                    result["made"] = []
                    try:
                        for step in caller.generate(f"user-{turn % users}", 16):
                            if step.creation.state == creation_pb2.CREATION_STATE_ADMITTED:
                                result["made"].append(step.item.id)
                        result["end"] = "OK"
                    except grpc.RpcError as error:
                        result["end"] = reason_of(error)
                    result["lasted"] = time.perf_counter() - began

                thread = threading.Thread(target=call)
                thread.start()
                time.sleep(dice.uniform(0.0, 0.6))
                os.kill(pid, signal.SIGKILL)
                died = time.perf_counter()
                while status() == SERVING and time.perf_counter() - died < arguments.patience:
                    time.sleep(0.002)
                down.append(time.perf_counter() - died)
                # While it is down, a new caller is told so.
                try:
                    caller.admitted(f"user-{(turn + 1) % users}", 1)
                    ends["a caller while it is down: OK"] += 1
                except grpc.RpcError as error:
                    ends[f"a caller while it is down: {reason_of(error)}"] += 1
                thread.join(arguments.patience)
                ends[f"the killed call: {result.get('end', 'HANGS')}"] += 1
                lasted.append(result.get("lasted", float("inf")))
                kept += result["made"]
                while status() != SERVING and time.perf_counter() - died < arguments.patience:
                    time.sleep(0.01)
                back.append(time.perf_counter() - died if status() == SERVING else float("inf"))
                print(f"  kill {turn + 1}: {result.get('end', 'HANGS')}, back after {back[-1]:.1f} s", flush=True)
            killed = time.perf_counter()
            made = len(caller.admitted("user-0", 2))
            time.sleep(10)
            watch.close()
            there = sum(caller.item(i).id == i for i in kept)
    took = np.array(watch.times)
    for name, part in (
        ("before", took[took[:, 0] < killing]),
        ("during", took[(took[:, 0] >= killing) & (took[:, 0] < killed)]),
        ("after", took[took[:, 0] >= killed]),
    ):
        p50, p99, most = (1000 * np.quantile(part[:, 1], q) for q in (0.5, 0.99, 1.0))
        print(f"Recommend {name}: {len(part)} answers, p50 {p50:.1f} ms, p99 {p99:.1f} ms, most {most:.1f} ms")
    print(f"errors of Recommend: {len(watch.errors)}; answers that were not full: {watch.empty}")
    for name, count in ends.most_common():
        print(f"{name}: {count}")
    print(f"killed calls ended within {max(lasted):.2f} s of their start; NOT_SERVING within {max(down):.3f} s")
    print(f"SERVING again after {np.median(back):.1f} s in the middle, {max(back):.1f} s at most")
    print(f"admitted before a kill and still there: {there} of {len(kept)}; made afterwards: {made} of 2")


if __name__ == "__main__":
    main()
