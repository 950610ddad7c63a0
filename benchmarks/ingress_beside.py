"""Recommend at half of saturation, open loop, alone and beside text and image generation that runs flat out.

Server, generator and the callers of the generator have one core, the load generator of Recommend the other: what is
measured on that one is the server's doing alone. Of three rounds the medians are told.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from aigc.v1 import recommendation_service_pb2 as pb

HERE = Path(__file__).resolve().parent
sys.path.append(str(HERE / "ghz"))

from ingress import OUTSTANDING, SERVICE, Generator, free_port, running, write_requests  # noqa: E402
from world import USERS, make_world  # noqa: E402


def callers(port: int, seconds: float) -> list[subprocess.Popen[bytes]]:
    """Four who want texts and four who want pictures, each asking again at once, on the server's core."""
    started = []
    for rpc, model in (("generate_text", "writer"), ("generate_images", "strokes")):
        command = ["taskset", "-c", "0", "nice", "-n", "19", sys.executable, "-m", "aigc_server.cli", "bench"]
        command += ["--server", f"127.0.0.1:{port}", "--rpc", rpc, "--model", model]
        command += ["--users", "4", "--seconds", str(seconds), "--json"]
        started.append(subprocess.Popen(command, stdout=subprocess.PIPE))
    return started


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=8)
    options = parser.parse_args()
    started = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="aigc-beside-") as name:
        folder = Path(name)
        generator = Generator(folder, options.seconds)
        home = folder / "home"
        make_world(home)
        rng = np.random.default_rng(0)
        users = rng.integers(0, USERS, 5000).tolist()
        asked = write_requests(folder / "asked", [pb.RecommendRequest(user_id=f"user-{u}", n=20) for u in users])
        port, method = free_port(), f"{SERVICE}/Recommend"
        server = [sys.executable, "-m", "aigc_server.cli", "serve", "--home", str(home)]
        server += ["--listen", f"127.0.0.1:{port}"]
        with running(server, port, AIGC_SERVER__INGRESS__MODE="on"):
            generator.run("closed", port, method, asked, OUTSTANDING, 2)
            most = generator.run("closed", port, method, asked, OUTSTANDING, 3)["rate"]
            alone: list[dict[str, Any]] = []
            beside: list[dict[str, Any]] = []
            made: list[dict[str, Any]] = []
            for _ in range(options.rounds):
                alone.append(generator.run("open", port, method, asked, most / 2))
                both = callers(port, options.seconds + 4)
                # They have started when they use the processor; what they do before that counts too.
                time.sleep(4)
                beside.append(generator.run("open", port, method, asked, most / 2))
                made += [json.loads(caller.communicate()[0]) for caller in both]
        print(f"Recommend at {most / 2:,.0f}/s, half of {most:,.0f}/s")
        for label, runs in (("alone", alone), ("beside generation", beside)):
            p50, p99 = (statistics.median(run[k] for run in runs) for k in ("p50_ms", "p99_ms"))
            print(f"{label}: p50 {p50:.3f} ms, p99 {p99:.3f} ms {[round(run['p99_ms'], 3) for run in runs]}")
        ratio = statistics.median(r["p99_ms"] for r in beside) / statistics.median(r["p99_ms"] for r in alone)
        print(f"p99 beside generation {ratio:.2f} x that alone (goal 1.3); codes {beside[-1]['codes']}")
        print(f"meanwhile: {made}")
    print(f"wall {time.perf_counter() - started:.0f} s, {os.cpu_count()} cores")


if __name__ == "__main__":
    main()
