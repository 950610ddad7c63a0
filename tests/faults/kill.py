"""Kill a real server with SIGKILL again and again while it takes events; count what was acknowledged and what is there.

python -m tests.faults.kill --rounds 50 --events 20000 [--postgres]
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import threading
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import grpc

from aigc.store.sql import open_store
from tests.faults.process import ServerProcess, record
from tests.postgres import cluster


@dataclass(frozen=True)
class Tally:
    """What came of it: every acknowledged event must be there, and none twice."""

    kills: int
    acknowledged: int
    lost: int
    twice: int


def kill_rounds(home: Path, *, rounds: int, events: int, batch: int, seed: int, store_url: str = "") -> Tally:
    """Send ``events`` in batches; ``rounds`` times, at a random point, kill the server mid-call.

    A batch that was in flight at the kill is sent again to the next server, as a caller with a retry policy would.
    """
    rng = random.Random(seed)
    environment = {"AIGC_STORE__URL": store_url} if store_url else {}
    home.mkdir(parents=True, exist_ok=True)
    batches = list(range(0, events, batch))
    cuts = sorted(rng.sample(range(1, len(batches)), rounds))
    acknowledged: set[int] = set()
    position = 0
    for cut in [*cuts, len(batches)]:
        with ServerProcess(home, **environment) as server:
            while position < cut:
                record(server.channel, batches[position], batch)
                acknowledged.update(range(batches[position], batches[position] + batch))
                position += 1
            if cut == len(batches):
                break
            # The next batch is on its way when the kill comes, a random moment after it left.
            sender = threading.Thread(target=_send, args=(server.channel, batches[cut], batch, acknowledged))
            sender.start()
            time.sleep(rng.random() * 0.01)
            server.kill()
            sender.join()
    store = open_store(store_url or f"sqlite:///{home / 'aigc.sqlite'}", read_only=True)
    try:
        found = [e.event.id for u in range(97) for e in store.user_events(f"user-{u}")]
    finally:
        store.close()
    there = set(found)
    lost = sum(f"e-{i}" not in there for i in acknowledged)
    return Tally(rounds, len(acknowledged), lost, len(found) - len(there))


def _send(channel: grpc.Channel, first: int, count: int, acknowledged: set[int]) -> None:
    try:
        record(channel, first, count)
    except grpc.RpcError:
        return
    acknowledged.update(range(first, first + count))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=50)
    parser.add_argument("--events", type=int, default=20_000)
    parser.add_argument("--batch", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--postgres", action="store_true", help="a PostgreSQL cluster of its own instead of SQLite")
    arguments = parser.parse_args()
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        url = stack.enter_context(cluster(Path(folder) / "postgres")) if arguments.postgres else ""
        tally = kill_rounds(
            Path(folder) / "home",
            rounds=arguments.rounds,
            events=arguments.events,
            batch=arguments.batch,
            seed=arguments.seed,
            store_url=url,
        )
    print(f"{tally} in {time.perf_counter() - started:.0f} s")  # noqa: T201
    return 0 if tally.lost == tally.twice == 0 and tally.acknowledged == arguments.events else 1


if __name__ == "__main__":
    sys.exit(main())
