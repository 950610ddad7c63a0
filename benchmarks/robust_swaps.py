"""A snapshot swapped in every second under load: does anyone notice?

Recommend through the ingress at half its saturation, open loop. ``--seconds`` without swaps, then as long with one
swap a second between two snapshots, in the same run: errors, the 99th percentile of each second, and the
server's memory.

Prediction, written before the run: no error; the swap costs Python's thread about 0.1 s of one core that the Engine's
threads share, so that on one core p99 goes over twice, and on two (the server's threads may use both) it does not.

python benchmarks/robust_swaps.py [--home DIR] [--seconds 60] [--core 0]
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
from ingress import OUTSTANDING, SERVICE, Generator, write_requests
from robust_server import Served, snapshot_ids, trained_home

from aigc.index.snapshot import SnapshotFolder
from aigc.v1 import recommendation_service_pb2 as pb

LIMIT = 2.0


def copies(home: Path, snapshot_id: str, n: int) -> list[str]:
    """So many snapshots with files of their own."""
    folder = home / "snapshots"
    made = [f"{snapshot_id}-{number:03}" for number in range(n)]
    for name in made:
        shutil.copytree(folder / snapshot_id, folder / name)
        manifest = folder / name / "manifest.json"
        manifest.write_text(manifest.read_text().replace(snapshot_id, name))
    return made


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--home", type=Path)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--core", type=int, help="The server's; any by default")
    parser.add_argument(
        "--rate", type=float, help="A second, in place of the share; answers are kept then, as by default"
    )
    parser.add_argument("--fresh", action="store_true", help="Each swap is to a snapshot never served before")
    parser.add_argument("--share", type=float, default=0.5, help="Of the saturation rate")
    options = parser.parse_args()
    started = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="aigc-swaps-") as name:
        folder = Path(name)
        home = trained_home(folder, options.home, snapshots=2)
        ids, published = snapshot_ids(home)[-2:], SnapshotFolder(home / "snapshots")
        if options.fresh:
            ids = copies(home, ids[0], int(options.seconds) + 1)
        users = np.random.default_rng(0).integers(1, 672, 5000)
        requests = write_requests(folder / "one", [pb.RecommendRequest(user_id=str(u), n=20) for u in users])
        quick, long = Generator(folder, 3), Generator(folder, options.seconds)
        poll = {"AIGC_SNAPSHOTS__POLL_MS": "100"}
        if options.rate is None:
            # Each call ranks, and none is refused: what is measured is the swap, not what it empties.
            poll |= {"AIGC_SERVER__INGRESS__KEEP_MB": "0", "AIGC_SERVER__INGRESS__TARGET_MS": "0"}
        with Served(home, "ingress", core=options.core, **poll) as server:
            method = f"{SERVICE}/Recommend"
            rates = [quick.run("closed", server.port, method, requests, OUTSTANDING)["rate"] for _ in range(2)]
            rate = options.rate or max(rates) * options.share
            calm = long.run("open", server.port, method, requests, rate)
            before, done, swaps = server.usage(), threading.Event(), 0

            def swap() -> None:
                nonlocal swaps
                while not done.wait(1):
                    swaps += 1
                    published.publish(ids[swaps % len(ids)])

            thread = threading.Thread(target=swap)
            thread.start()
            early = threading.Timer(options.seconds / 3, lambda: marks.append(server.usage()))
            marks: list[object] = []
            early.start()
            swapped = long.run("open", server.port, method, requests, rate)
            done.set()
            thread.join()
            time.sleep(1)
            after = server.usage()
        print(f"saturation {max(rates):,.0f}/s; open loop at {rate:,.0f}/s, {options.seconds:g} s each, {swaps} swaps")
        for label, got in (("without swaps", calm), ("with swaps", swapped)):
            seconds = got["p99_ms_by_second"]
            print(
                f"{label}: codes {got['codes']}, p50 {got['p50_ms']:.3f} ms, p99 {got['p99_ms']:.3f} ms; "
                f"p99 of a second: median {statistics.median(seconds):.3f}, 95th percentile "
                f"{np.percentile(seconds, 95):.3f}, worst {max(seconds):.3f}"
            )
        ratio = swapped["p99_ms"] / calm["p99_ms"]
        worst = max(swapped["p99_ms_by_second"]) / max(calm["p99_ms_by_second"])
        print(f"p99 with / without: {ratio:.2f}, worst second with / without: {worst:.2f} (goal at most {LIMIT:g})")
        print(f"memory: {before} before the swaps, {marks[0]} after a third of them, {after} after")
        print(f"wall {time.perf_counter() - started:.0f} s")
        errors = set(swapped["codes"]) | set(calm["codes"])
        return int(errors != {"0"} or ratio > LIMIT)


if __name__ == "__main__":
    sys.exit(main())
