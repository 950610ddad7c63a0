"""What ghz measured, judged: no error, and no RPC much slower than it was, beside a server that answers a constant.

    python benchmarks/ghz/check.py RESULTS [--baseline FILE] [--update]

RESULTS is the folder that run.py wrote: one JSON file of ghz's a configuration, and ``peer.json``, of the same run.
An RPC's figure is its requests/s divided by the peer's, which carries over from one machine to another.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["Measured", "judge", "read_report"]

BASELINE = Path(__file__).resolve().parent / "baseline.json"
# A run is short and its machine shared: half as fast as ever is what it can tell from chance.
SLOWEST = 0.5
# Fewer calls than these say nothing of speed.
FEWEST = 50


@dataclass(frozen=True, slots=True)
class Measured:
    """One configuration: calls, errors by their words, requests/s, and milliseconds."""

    name: str
    count: int
    errors: dict[str, int]
    rps: float
    p50_ms: float
    p99_ms: float


def read_report(path: Path) -> Measured:
    """One JSON file of ghz's."""
    report: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    at = {d["percentage"]: d["latency"] / 1e6 for d in report.get("latencyDistribution") or ()}
    errors = report.get("errorDistribution") or {}
    return Measured(path.stem, report["count"], dict(errors), report["rps"], at.get(50, 0.0), at.get(99, 0.0))


def judge(reports: list[Measured], peer_rps: float, baseline: dict[str, float]) -> list[str]:
    """What does not hold, each in one sentence."""
    problems = []
    for report in reports:
        if report.errors:
            words = "; ".join(f"{n} × {text}" for text, n in report.errors.items())
            problems.append(f"{report.name}: {sum(report.errors.values())} of {report.count} calls failed: {words}")
        if report.count == 0:
            problems.append(f"{report.name}: no call was made")
        expected = baseline.get(report.name)
        ratio = report.rps / peer_rps
        if expected is not None and report.count >= FEWEST and ratio < SLOWEST * expected:
            problems.append(
                f"{report.name}: {ratio:.4f} of the constant reply's requests/s, where the baseline has {expected:.4f}"
            )
    return problems + [f"{name}: not measured" for name in sorted(set(baseline) - {r.name for r in reports})]


def main() -> int:
    """Judge a run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("results", type=Path)
    parser.add_argument("--baseline", type=Path, default=BASELINE)
    parser.add_argument("--update", action="store_true", help="make this run the baseline")
    arguments = parser.parse_args()
    peer = read_report(arguments.results / "peer.json")
    reports = [read_report(p) for p in sorted(arguments.results.glob("*.json")) if p.stem != "peer"]
    if arguments.update:
        ratios = {r.name: round(r.rps / peer.rps, 5) for r in reports}
        arguments.baseline.write_text(json.dumps(ratios, indent=1) + "\n", encoding="utf-8")
    baseline = json.loads(arguments.baseline.read_text(encoding="utf-8")) if arguments.baseline.exists() else {}
    heads = ("calls", 7), ("errors", 6), ("req/s", 8), ("p50 ms", 8), ("p99 ms", 8), ("÷ peer", 7), ("baseline", 8)
    print(f"{'configuration':50} " + " ".join(f"{head:>{width}}" for head, width in heads))
    for r in [peer, *reports]:
        ratio, was = f"{r.rps / peer.rps:.3f}", f"{baseline[r.name]:.3f}" if r.name in baseline else ""
        failed = sum(r.errors.values())
        print(f"{r.name:50} {r.count:7} {failed:6} {r.rps:8.0f} {r.p50_ms:8.2f} {r.p99_ms:8.2f} {ratio:>7} {was:>8}")
    problems = judge(reports, peer.rps, baseline)
    for problem in problems:
        print(f"FAILED {problem}")
    calls, failed = sum(r.count for r in reports), sum(sum(r.errors.values()) for r in reports)
    print(f"{len(reports)} configurations, {calls:,} calls, {failed} errors: {'FAILED' if problems else 'passed'}")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
