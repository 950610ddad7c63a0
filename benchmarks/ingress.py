"""Unary Recommend for 20 items through the ingress: requests/s, latency and overload beside constant servers.

The server has one core, the load generator the other. All servers run in the same minutes, one after the other, and
what is printed are medians of three rounds; peers answer a constant of the same size. ``--data DIR`` is MovieLens.
Beside p99 stands how late calls were sent, which is in it and is the generator's doing and not the server's, and how
long the cores stand still for anybody: the kernel's and the host's doing.
Overload is measured on a server that keeps no answers: three times what it can rank, for a minute.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from aigc.v1 import event_pb2
from aigc.v1 import event_service_pb2 as recording
from aigc.v1 import recommendation_service_pb2 as pb

HERE = Path(__file__).resolve().parent
SERVICE = "/aigc.v1.RecommendationService"
OUTSTANDING = 64
LIBRARIES = ("-lgrpc++", "-lgrpc", "-lgpr", "-labsl_synchronization", "-lnghttp2")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(port: int, process: subprocess.Popen[Any]) -> None:
    for _ in range(600):
        assert process.poll() is None, "the server ended"
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise SystemExit("the server does not listen")


@contextlib.contextmanager
def running(command: list[str], port: int, **environment: str) -> Iterator[int]:
    """A server on core 0."""
    process = subprocess.Popen(
        ["taskset", "-c", "0", *command],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "OMP_NUM_THREADS": "1", **environment},
    )
    try:
        wait_for(port, process)
        yield process.pid
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


class Generator:
    """The load generator, built once (with libgrpc++-dev and libnghttp2-dev), on core 1."""

    def __init__(self, folder: Path, seconds: float) -> None:
        self.program = str(folder / "ingress_load")
        self._command = ["taskset", "-c", "1", self.program]
        self._seconds = str(seconds)
        source = HERE / "ingress_load.cpp"
        subprocess.run(["g++", "-std=c++17", "-O2", str(source), "-o", self.program, *LIBRARIES], check=True)

    def pauses(self, seconds: float = 3) -> list[dict[str, Any]]:
        """What a thread that only looks at the clock misses, on core 0 and core 1: a line of JSON each."""
        programs = [
            subprocess.Popen(["taskset", "-c", f"{core}", self.program, "pauses", str(seconds)], stdout=subprocess.PIPE)
            for core in (0, 1)
        ]
        return [dict(json.loads(program.communicate()[0])) for program in programs]

    def run(
        self, mode: str, port: int, method: str, requests: Path, level: float, seconds: float = 0
    ) -> dict[str, Any]:
        """One run's line of JSON."""
        span = str(seconds) if seconds else self._seconds
        done = subprocess.run(
            [*self._command, mode, f"127.0.0.1:{port}", method, str(requests), span, str(level)],
            check=True,
            capture_output=True,
        )
        return dict(json.loads(done.stdout))


def write_requests(path: Path, messages: list[Any]) -> Path:
    with path.open("wb") as file:
        for message in messages:
            data = message.SerializeToString()
            file.write(struct.pack("<I", len(data)) + data)
    return path


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", type=Path, default=HERE.parents[1] / "shared" / "data" / "ml-latest-small")
    parser.add_argument("--home", type=Path, help="A data directory trained on MovieLens already")
    parser.add_argument("--users", type=int, default=671)
    parser.add_argument("--name", default="{}", help="Of user 1, 2, …, as a format of Python's")
    parser.add_argument("--strategy", default="")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=4)
    parser.add_argument("--overload-seconds", type=float, default=60)
    parser.add_argument("--log-level", default="info")
    parser.add_argument("--parts", default="rate,batch,latency,events,overload")
    options = parser.parse_args()
    started = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="aigc-ingress-") as name:
        folder = Path(name)
        generator = Generator(folder, options.seconds)
        home = options.home or folder / "home"
        aigc = [sys.executable, "-m", "aigc_server.cli"]
        names = [options.name.format(u) for u in range(1, options.users + 1)]
        if options.home is None:
            subprocess.run([*aigc, "import", "movielens", str(options.data), "--home", str(home)], check=True)
            subprocess.run([*aigc, "train", "--home", str(home)], check=True)
        rng = np.random.default_rng(0)
        users = [names[u] for u in rng.integers(0, len(names), max(5000, 2 * options.users))]
        one = write_requests(
            folder / "one", [pb.RecommendRequest(user_id=u, n=20, strategy=options.strategy) for u in users]
        )
        batch = [
            [pb.RecommendRequest(user_id=u, n=20, strategy=options.strategy) for u in users[i : i + 128]]
            for i in range(0, 4096, 128)
        ]
        many = write_requests(folder / "many", [pb.BatchRecommendRequest(requests=r) for r in batch])
        near = write_requests(folder / "near", [pb.SimilarItemsRequest(item_id=str(i), n=20) for i in range(1, 100)])

        def server(port: int) -> list[str]:
            return [*aigc, "serve", "--home", str(home), "--listen", f"127.0.0.1:{port}"]

        port = free_port()
        recommend = f"{SERVICE}/Recommend"
        constant = [sys.executable, str(HERE / "constant_server.py")]
        callback = "grpc++ callback, constant"
        rounds = range(options.rounds)
        parts = options.parts.split(",")
        serve = {"AIGC_LOG__LEVEL": options.log_level}
        front = {"AIGC_SERVER__INGRESS__MODE": "on", **serve}
        ranking = {**front, "AIGC_SERVER__INGRESS__KEEP_MB": "0", "AIGC_SERVER__INGRESS__TARGET_MS": "0"}
        with running(server(port), port, **front):
            size = round(generator.run("closed", port, recommend, one, 1)["bytes"])
        print(f"an answer has {size} bytes")
        rates: dict[str, list[float]] = {}
        saturation = 0.0
        if "rate" in parts:
            for _ in rounds:
                for label, command, environment in (
                    ("ingress", server(port), front),
                    ("ingress, every call ranked", server(port), ranking),
                    ("control server alone", server(port), {"AIGC_SERVER__INGRESS__MODE": "off", **serve}),
                    (
                        "grpcio aio, constant",
                        [*constant, "aio", f"{port}", f"{size}"],
                        {},
                    ),
                    (
                        "grpcio sync, constant",
                        [*constant, "sync", f"{port}", f"{size}"],
                        {},
                    ),
                    (callback, [generator.program, "serve", f"{port}", f"{size}"], {}),
                ):
                    with running(command, port, **environment):
                        # Each user has asked once: what is measured goes on for longer than a start.
                        generator.run("closed", port, recommend, one, OUTSTANDING, 1)
                        result = generator.run("closed", port, recommend, one, OUTSTANDING)
                        assert set(result["codes"]) == {"0"}, result
                        print(f"  {label}: {result['rate']:,.0f}/s", flush=True)
                        rates.setdefault(label, []).append(result["rate"])
                        if label == "ingress":
                            found = generator.run("closed", port, f"{SERVICE}/SimilarItems", near, OUTSTANDING)
                            rates.setdefault("ingress, SimilarItems", []).append(found["rate"])
            for label, values in rates.items():
                print(f"{label}: {statistics.median(values):,.0f} requests/s {[round(v) for v in values]}")
            saturation = statistics.median(rates["ingress"])
            python = max(statistics.median(rates[k]) for k in rates if k.startswith("grpcio"))
            print(f"Recommend: {saturation / python:.2f} x the better Python constant (goal 5), ", end="")
            print(f"{saturation / statistics.median(rates[callback]):.2f} x grpc++ (goal 0.5)")
        with running(server(port), port, **front) as pid:
            generator.run("closed", port, recommend, one, OUTSTANDING, 1)
            if not saturation:
                saturation = generator.run("closed", port, recommend, one, OUTSTANDING)["rate"]
            if "batch" in parts:
                got = [generator.run("closed", port, f"{SERVICE}/BatchRecommend", many, 4) for _ in rounds]
                users_s = statistics.median(r["rate"] for r in got) * 128
                print(f"BatchRecommend of 128: {users_s:,.0f} users/s (goal 50,000)")
        if "latency" in parts:
            latency: dict[str, list[dict[str, Any]]] = {"ingress": [], callback: []}
            for _ in rounds:
                for label, command, environment in (
                    ("ingress", server(port), front),
                    (callback, [generator.program, "serve", f"{port}", f"{size}"], {}),
                ):
                    with running(command, port, **environment):
                        generator.run("closed", port, recommend, one, OUTSTANDING, 1)
                        latency[label].append(generator.run("open", port, recommend, one, saturation / 2))
            print_latency(saturation / 2, latency["ingress"], latency[callback], generator.pauses())
        if "events" in parts:
            with running(server(port), port, **front):
                calls = []
                for i in range(100_000):
                    user = users[i % len(users)]
                    event = event_pb2.Event(id=f"{os.getpid()}-{i}", user_id=user, item_id="1", type="view")
                    calls.append(recording.RecordEventsRequest(events=[event]))
                recorded = write_requests(folder / "events", calls)
                got = generator.run("closed", port, "/aigc.v1.EventService/RecordEvents", recorded, 64)
                print(f"RecordEvents, one event a call, 64 callers: {got['rate']:,.0f}/s (goal 5,000): {got}")
        if "overload" in parts:
            with running(server(port), port, **ranking) as pid:
                generator.run("closed", port, recommend, one, OUTSTANDING)
                most = generator.run("closed", port, recommend, one, OUTSTANDING)["rate"]
            limited = {**front, "AIGC_SERVER__INGRESS__KEEP_MB": "0"}
            with running(server(port), port, **limited) as pid:
                generator.run("open", port, recommend, one, most / 2)
                alone = generator.run("open", port, recommend, one, most / 2)
                memory = rss(pid)
                print(f"every call ranked, {most:,.0f}/s at most; at half of it p99 {alone['p99_ms']:.2f} ms: {alone}")
                got = generator.run("open", port, recommend, one, most * 3, options.overload_seconds)
                after = generator.run("open", port, recommend, one, most / 2, 1)
                print(f"at {most * 3:,.0f}/s for {options.overload_seconds:.0f} s: {got}")
                print(f"accepted p99 {got['p99_ms'] / alone['p99_ms']:.1f} x that (goal 5), ", end="")
                print(f"refused p99 {got['refused_p99_ms']:.2f} ms (goal 5)")
                print(f"the second afterwards: {after}; memory {memory:.0f} -> {rss(pid):.0f} MB")
    print(f"wall {time.perf_counter() - started:.0f} s")


def print_latency(
    rate: float, ours: list[dict[str, Any]], constant: list[dict[str, Any]], pauses: list[dict[str, Any]]
) -> None:
    def median(runs: list[dict[str, Any]], key: str) -> float:
        return float(statistics.median(run[key] for run in runs))

    p50, p99, late = (median(ours, key) for key in ("p50_ms", "p99_ms", "late_p99_ms"))
    of_constant = [median(constant, key) for key in ("p50_ms", "p99_ms", "late_p99_ms")]
    print(f"open loop at {rate:,.0f}/s: p50 {p50:.3f} ms (goal 0.5), p99 {p99:.3f} ms (goal 2); ", end="")
    print(f"constant grpc++ server p50 {of_constant[0]:.3f}, p99 {of_constant[1]:.3f} ms: ", end="")
    print(f"{p50 / of_constant[0]:.2f} and {p99 / of_constant[1]:.2f} times")
    print(f"  sent late, p99: {late:.3f} ms, and {of_constant[2]:.3f} ms for the constant server")
    for label, runs in (("ingress", ours), ("constant", constant)):
        print(f"  {label}, p99 of each round and late: {[(run['p99_ms'], run['late_p99_ms']) for run in runs]}")
    print(f"  cores 0 and 1 alone: {pauses}")


def rss(pid: int) -> float:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) / 1024
    return 0.0


if __name__ == "__main__":
    main()
