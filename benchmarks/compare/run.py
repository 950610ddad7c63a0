"""Twenty items for a user, asked of one server after the other: rate, latency, memory and what the answers are worth.

Each server has core 0 with all its processes, the load generator core 1. ``make compare`` fetches the peers first.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

from peers import Peer, prepare
from server_process import free_port, running
from split import Split, hold_out_last
from wire import Load, N, Wire

HERE = Path(__file__).resolve().parent
OUTSTANDING = 64


@dataclass(frozen=True)
class Round:
    """One start of one server, asked one question.

    Attributes:
        full: 64 calls outstanding.
        half: Open loop at half of ``full``'s rate, or at the rate given; None when the server does not manage it.
        memory_mb: Of all its processes after both.
    """

    full: Load
    half: Load | None
    memory_mb: float


def check(peer: Peer, question: str, wire: Wire, port: int, split: Split) -> float:
    """Ask for every user; the answers must be real. Gives recall@20 of the item held out.

    Raises:
        SystemExit: An answer has not 20 different items, or one that the user has rated.
    """
    users = list(split.seen)
    answers = wire.ask(port, users)
    for user, items in answers.items():
        if len(set(items)) != N or len(items) != N or split.seen[user].intersection(items):
            raise SystemExit(f"{peer.name}, {question}: user {user} got {items}")
    if len({tuple(items) for items in answers.values()}) < len(users) // 2:
        raise SystemExit(f"{peer.name}, {question}: the same answer for most users")
    return sum(split.held_out[user] in items for user, items in answers.items()) / len(users)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", type=Path, default=HERE.parents[2] / "shared" / "data" / "ml-latest-small")
    parser.add_argument("--work", type=Path, default=HERE.parents[1] / "build" / "compare", help="Kept between runs")
    parser.add_argument("--peers", default="", help="Names, with commas; all that are installed when empty")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=1.25, help="Of each of the two loads of a round")
    parser.add_argument(
        "--rate", type=float, help="Of the open loop, the same for all, in place of half of each one's own"
    )
    parser.add_argument("--prepare-only", action="store_true", help="Train and build what the run needs, and end")
    options = parser.parse_args()
    work = options.work.resolve()
    work.mkdir(parents=True, exist_ok=True)
    split = hold_out_last(options.data, work / "data")
    peers = prepare(work, split.folder)
    if options.prepare_only:
        return
    started = time.perf_counter()
    if options.peers:
        peers = {name: peers[name] for name in options.peers.split(",")}
    rounds: dict[tuple[str, str], list[Round]] = defaultdict(list)
    recall: dict[tuple[str, str], float] = {}
    for number in range(options.rounds):
        for name, peer in peers.items():
            if peer.once and number:
                continue
            port = free_port()
            command, environment = peer.at(port)
            with running(command, port, work / f"{name}.log", environment, peer.ready) as server:
                for question, wire in peer.questions.items():
                    key = name, question
                    if number == 0:
                        recall[key] = check(peer, question, wire, port, split)
                    else:
                        # Each user once, as in the first round, so that who keeps answers has them.
                        wire.ask(port, list(split.seen))
                    for _ in range(options.rounds if peer.once else 1):
                        full = wire.closed(port, split.questions, options.seconds, OUTSTANDING)
                        rate = options.rate or full.rate / 2
                        half = wire.open(port, split.questions, options.seconds, rate) if rate < full.rate else None
                        rounds[key].append(Round(full, half, server.memory_mb()))
                        print(f"  {peer.name}, {question}: {full.rate:,.0f}/s", file=sys.stderr, flush=True)
    print_table(peers, rounds, recall, f"{options.rate:,.0f}/s" if options.rate else "half")
    print(f"\n{options.rounds} rounds of {options.seconds} s; wall {time.perf_counter() - started:.0f} s")


def median_times(loads: list[Load | None]) -> list[str]:
    """p50 and p99."""
    measured = [load for load in loads if load is not None]
    if len(measured) < len(loads):
        return ["–", "–"]
    return [
        f"{statistics.median(values):.2f}" for values in ([m.p50_ms for m in measured], [m.p99_ms for m in measured])
    ]


def print_table(
    peers: dict[str, Peer],
    rounds: dict[tuple[str, str], list[Round]],
    recall: dict[tuple[str, str], float],
    open_rate: str,
) -> None:
    """Medians, as a table in Markdown, the fastest first."""
    titles = ["server", "computes", "requests/s", "p50 ms", "p99 ms", f"at {open_rate}: p50", "p99", "MB"]
    titles += ["recall@20", "by"]
    print(f"| {' | '.join(titles)} |")
    print(f"|{' --- |' * len(titles)}")

    def rate(key: tuple[str, str]) -> float:
        return statistics.median(r.full.rate for r in rounds[key])

    for key in sorted(rounds, key=rate, reverse=True):
        name, question = key
        got = rounds[key]
        spread = f"{min(r.full.rate for r in got):,.0f} to {max(r.full.rate for r in got):,.0f}"
        cells = [
            peers[name].name,
            question,
            f"{rate(key):,.0f} ({spread})",
            *median_times([r.full for r in got]),
            *median_times([r.half for r in got]),
            f"{statistics.median(r.memory_mb for r in got):,.0f}",
            f"{recall[key]:.3f}",
            peers[name].version,
        ]
        print(f"| {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
