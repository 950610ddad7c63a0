"""One core, alternating runs, medians, and the ratio against a named peer."""

from __future__ import annotations

import os
import statistics
import sys
import time
from collections.abc import Callable

__all__ = ["compare", "one_core"]


def one_core() -> None:
    """Pin this process to one core, before any library starts its threads."""
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = "1"


def compare(
    what: str,
    ours: Callable[[], object],
    peers: dict[str, Callable[[], object]],
    goal: float,
    *,
    runs: int = 9,
    loops: int = 1,
) -> float:
    """Time ours and the peers in turn, so that a drift of the machine meets all; print medians and ratios.

    Args:
        what: Named in the output.
        ours: One run.
        peers: Name → one run of the same work.
        goal: The ratio wanted against the fastest peer.
        runs: Counted runs of each, after one that is not.
        loops: Calls a run, for what is too quick to time alone.

    Returns:
        Median of the fastest peer ÷ median of ours.
    """
    calls = {"aigc": ours, **peers}
    times: dict[str, list[float]] = {name: [] for name in calls}
    for round_number in range(runs + 1):
        for name, call in calls.items():
            started = time.perf_counter()
            for _ in range(loops):
                call()
            if round_number:
                times[name].append((time.perf_counter() - started) / loops)
    medians = {name: statistics.median(t) for name, t in times.items()}
    fastest = min(peers, key=lambda name: medians[name])
    ratio = medians[fastest] / medians["aigc"]
    verdict = "met" if ratio >= goal else "MISSED"
    print(f"{what}")
    for name, median in medians.items():
        print(f"  {name:<34} {median * 1e3:12.4f} ms")
    print(f"  ratio against {fastest}: {ratio:.1f} (goal ≥ {goal:g}: {verdict})")
    sys.stdout.flush()
    return ratio
