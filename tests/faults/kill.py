"""Kill a real server with SIGKILL again and again while it takes events; count what was acknowledged and what is there.

python -m tests.faults.kill --rounds 50 --events 20000 [--postgres]
"""

from __future__ import annotations

import argparse
import itertools
import random
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import grpc

from aigc.store.sql import open_store
from aigc.v1 import event_pb2, event_service_pb2, event_service_pb2_grpc
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


def kill_callers(home: Path, *, rounds: int, callers: int, seed: int) -> Tally:
    """Kill the server ``rounds`` times while ``callers`` record an event a call, one after the other, and one streams.

    Their events share commits. Ids are never sent again, so none may be there that was sent twice.
    """
    rng = random.Random(seed)
    home.mkdir(parents=True, exist_ok=True)
    acknowledged: set[str] = set()
    for number in range(rounds):
        with ServerProcess(home) as server:
            threads = [
                threading.Thread(target=_call_on, args=(server.channel, f"{number}-{i}", acknowledged))
                for i in range(callers)
            ]
            threads.append(threading.Thread(target=_stream_on, args=(server.channel, f"{number}-s", acknowledged)))
            for thread in threads:
                thread.start()
            time.sleep(0.2 + 0.3 * rng.random())
            server.kill()
            for thread in threads:
                thread.join()
    store = open_store(f"sqlite:///{home / 'aigc.sqlite'}", read_only=True)
    try:
        found = [e.event.id for e in store.user_events("user")]
    finally:
        store.close()
    return Tally(rounds, len(acknowledged), len(acknowledged - set(found)), len(found) - len(set(found)))


def _event(name: str) -> event_pb2.Event:
    return event_pb2.Event(id=name, user_id="user", item_id="item", type="view")


def _call_on(channel: grpc.Channel, name: str, acknowledged: set[str]) -> None:
    stub = event_service_pb2_grpc.EventServiceStub(channel)
    for i in itertools.count():
        try:
            stub.RecordEvents(event_service_pb2.RecordEventsRequest(events=[_event(f"{name}-{i}")]))
        except grpc.RpcError:
            return
        acknowledged.add(f"{name}-{i}")


def _stream_on(channel: grpc.Channel, name: str, acknowledged: set[str]) -> None:
    sent = ([f"{name}-{n}-{i}" for i in range(20)] for n in itertools.count())
    waiting: list[list[str]] = []

    def batches() -> Iterator[event_service_pb2.StreamEventsRequest]:
        for ids in sent:
            waiting.append(ids)
            yield event_service_pb2.StreamEventsRequest(events=[_event(i) for i in ids])

    try:
        for answer in event_service_pb2_grpc.EventServiceStub(channel).StreamEvents(batches()):
            acknowledged.update(waiting[answer.batch_index])
    except grpc.RpcError:
        return


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
