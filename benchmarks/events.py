"""RecordEvents on disk before the answer: one event a call, a thousand a call, streamed, and how soon an event counts.

The server has core 0, the load core 1; every figure has a fresh copy of the same trained data directory, and what was
acknowledged is counted in the database afterwards. Peers of the same minutes: a program that only inserts the same
rows into the same table with ``synchronous=FULL``, and the disk's own fdatasync. Goals: 5,000 calls/s with 64 callers,
50,000 events/s batched or streamed, p99 of the lag 20 ms.
"""

from __future__ import annotations

import argparse
import os
import queue
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
from ingress import HERE, Generator, free_port, running, write_requests

from aigc.store.connect import connect, parse_url
from aigc.v1 import event_pb2
from aigc.v1 import event_service_pb2 as recording
from aigc.v1 import recommendation_service_pb2 as asking

RECORD = "/aigc.v1.EventService/RecordEvents"
STREAM = "/aigc.v1.EventService/StreamEvents"
RECOMMEND = "/aigc.v1.RecommendationService/Recommend"
CALLERS = 64
FRONTS = {"ingress": "on", "control server alone": "off"}


def made_events(n: int, seed: int = 0) -> list[event_pb2.Event]:
    """Events as clients send them: random ids, 20,000 users, MovieLens's movies, a rating in ten."""
    rng = random.Random(seed)
    now_ms = int(time.time() * 1000)
    made = []
    for i in range(n):
        event = event_pb2.Event(
            id=f"{rng.getrandbits(96):024x}",
            user_id=str(rng.randint(1, 20_000)),
            item_id=str(int(rng.paretovariate(0.7)) % 5000 + 1),
            type=rng.choice(("view", "view", "click", "like")),
        )
        if i % 10 == 0:
            event.type, event.value = "rating", rng.randint(1, 10) / 2
        event.event_time.FromMilliseconds(now_ms - rng.randint(0, 3_600_000))
        made.append(event)
    return made


def peer(folder: Path, group: int, events: list[event_pb2.Event]) -> None:
    """Rows a second of a program that does nothing but insert, ``group`` a transaction."""
    engine = connect(parse_url(f"sqlite:///{folder / f'peer-{group}.sqlite'}"), read_only=False)
    database = engine.raw_connection().driver_connection
    assert database is not None
    (mode,) = database.execute("PRAGMA synchronous").fetchone()
    assert mode == 2, "not FULL"
    database.execute(
        "CREATE TABLE events (seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, user_id TEXT NOT NULL, item_id TEXT"
        " NOT NULL, type TEXT NOT NULL, time_ms BIGINT NOT NULL, value FLOAT, recommendation_id TEXT NOT NULL, text"
        " TEXT NOT NULL)"
    )
    database.execute("CREATE INDEX events_user ON events (user_id, time_ms, seq)")
    rows = [
        (e.id, e.user_id, e.item_id, e.type, e.event_time.ToMilliseconds(), e.value or None, "", "") for e in events
    ]
    columns = "id, user_id, item_id, type, time_ms, value, recommendation_id, text"
    statement = f"INSERT INTO events ({columns}) VALUES (?,?,?,?,?,?,?,?) ON CONFLICT (id) DO NOTHING"
    started, done, commits = time.perf_counter(), 0, 0
    while done < len(rows) and time.perf_counter() - started < 4:
        database.execute("BEGIN")
        database.executemany(statement, rows[done : done + group])
        database.execute("COMMIT")
        done, commits = done + group, commits + 1
    seconds = time.perf_counter() - started
    print(f"plain sqlite3, {group} a transaction: {done / seconds:,.0f} rows/s, {commits / seconds:,.0f} commits/s")


def disk(folder: Path) -> None:
    """What the disk itself takes for 64 KB."""
    times = []
    descriptor = os.open(folder / "disk", os.O_CREAT | os.O_WRONLY)
    for i in range(500):
        os.pwrite(descriptor, os.urandom(65_536), i * 65_536)
        started = time.perf_counter()
        os.fdatasync(descriptor)
        times.append(1000 * (time.perf_counter() - started))
    os.close(descriptor)
    p50, p99 = statistics.median(times), sorted(times)[494]
    print(f"disk: fdatasync after 64 KB p50 {p50:.2f} ms, p99 {p99:.2f} ms ({1000 * len(times) / sum(times):,.0f}/s)")


def stream(port: int, batches: list[bytes], streams: int, window: int) -> tuple[float, float, float]:
    """Events/s, and p50 and p99 in ms of a batch's acknowledgement; ``window`` batches are sent ahead of theirs."""
    channel = grpc.insecure_channel(f"127.0.0.1:{port}", options=[("grpc.max_receive_message_length", -1)])
    grpc.channel_ready_future(channel).result(20)
    method = channel.stream_stream(STREAM)
    times: list[float] = []
    counts: list[int] = []

    def send(part: list[bytes]) -> None:
        free = threading.Semaphore(window)
        sent: queue.SimpleQueue[float] = queue.SimpleQueue()

        def requests() -> Iterator[bytes]:
            for batch in part:
                free.acquire()
                sent.put(time.perf_counter())
                yield batch

        for index, answer in enumerate(method(requests())):
            times.append(1000 * (time.perf_counter() - sent.get()))
            got = recording.StreamEventsResponse.FromString(answer)
            assert got.batch_index == index
            counts.append(got.accepted_count)
            free.release()

    threads = [threading.Thread(target=send, args=(batches[i::streams],)) for i in range(streams)]
    started = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seconds = time.perf_counter() - started
    channel.close()
    assert len(counts) == len(batches)
    times.sort()
    return sum(counts) / seconds, statistics.median(times), times[int(0.99 * len(times))]


def lag(port: int, rounds: int, seed: int) -> tuple[list[float], int]:
    """From an acknowledgement to the first answer without the item, ms, and how often that was the next answer."""
    rng = random.Random(seed)
    channel = grpc.insecure_channel(f"127.0.0.1:{port}")
    record = channel.unary_unary(
        RECORD, recording.RecordEventsRequest.SerializeToString, recording.RecordEventsResponse.FromString
    )
    recommend = channel.unary_unary(
        RECOMMEND, asking.RecommendRequest.SerializeToString, asking.RecommendResponse.FromString
    )
    times, at_once = [], 0
    for i in range(rounds):
        user = str(rng.randint(1, 671))
        ask = asking.RecommendRequest(user_id=user, n=20)
        item = recommend(ask).items[rng.randint(0, 9)].item_id
        event = event_pb2.Event(id=f"lag-{seed}-{i}", user_id=user, item_id=item, type="like")
        assert record(recording.RecordEventsRequest(events=[event])).accepted_count == 1
        acknowledged, asked = time.perf_counter(), 0
        while True:
            answer = recommend(ask)
            asked += 1
            if item not in {i.item_id for i in answer.items}:
                break
            assert asked < 1000
        times.append(1000 * (time.perf_counter() - acknowledged))
        at_once += asked == 1
    channel.close()
    return sorted(times), at_once


class Runs:
    """A fresh server for each figure."""

    def __init__(self, folder: Path, trained: Path) -> None:
        self._folder = folder
        self._trained = trained
        self.home = folder / "run"

    def server(self, port: int, front: str) -> Any:
        """It listens while the context lasts."""
        shutil.rmtree(self.home, ignore_errors=True)
        shutil.copytree(self._trained, self.home)
        self._before = self.stored()
        command = [sys.executable, "-m", "aigc_server.cli", "serve", "--home", str(self.home)]
        return running([*command, "--listen", f"127.0.0.1:{port}"], port, AIGC_SERVER__INGRESS__MODE=front)

    def stored(self) -> int:
        """Events in the database."""
        engine = connect(parse_url(f"sqlite:///{self.home / 'aigc.sqlite'}"), read_only=True)
        with engine.connect() as connection:
            return int(connection.exec_driver_sql("SELECT count(*) FROM events").scalar_one())

    def new(self) -> int:
        """Events since the server started."""
        return self.stored() - self._before


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=HERE.parents[1] / "shared" / "data" / "ml-latest-small")
    parser.add_argument("--home", type=Path, help="a data directory trained on MovieLens already; it is copied")
    parser.add_argument("--seconds", type=float, default=4)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--batches", type=int, default=400, help="of a thousand events, for the streamed figures")
    parser.add_argument("--lags", type=int, default=300, help="events of which the lag is measured")
    parser.add_argument("--parts", default="peer,unary,batched,streamed,lag")
    parser.add_argument("--fronts", default="ingress,control server alone")
    options = parser.parse_args()
    parts, fronts = options.parts.split(","), options.fronts.split(",")
    began = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="aigc-events-") as name:
        folder = Path(name)
        generator = Generator(folder, options.seconds)
        trained = options.home
        if trained is None:
            trained = folder / "trained"
            aigc = [sys.executable, "-m", "aigc_server.cli"]
            subprocess.run([*aigc, "import", "movielens", str(options.data), "--home", str(trained)], check=True)
            subprocess.run([*aigc, "train", "--home", str(trained)], check=True)
        runs = Runs(folder, trained)
        os.sched_setaffinity(0, {1})
        thousands = 2 * options.batches if {"batched", "streamed"} & set(parts) else 100
        events = made_events(1000 * thousands)
        requests = [recording.RecordEventsRequest(events=events[i : i + 1000]) for i in range(0, len(events), 1000)]
        many = write_requests(folder / "many", requests)
        single = [recording.RecordEventsRequest(events=[e]) for e in events[:100_000]]
        one = write_requests(folder / "one", single)
        if "peer" in parts:
            os.sched_setaffinity(0, {0})
            disk(folder)
            for group in (1, CALLERS, 1000):
                peer(folder, group, events)
            os.sched_setaffinity(0, {1})
        port = free_port()
        for number in range(options.rounds):
            for front in fronts:
                if "unary" in parts:
                    with runs.server(port, FRONTS[front]):
                        got = generator.run("closed", port, RECORD, one, CALLERS)
                        # Acknowledged while the generator warmed up and after its end, they are stored, not counted.
                        stored = runs.new()
                    assert set(got["codes"]) == {"0"}, got
                    assert got["codes"]["0"] <= stored < len(single)
                    print(
                        f"{front}: one event a call, {CALLERS} callers: {got['rate']:,.0f} calls/s (goal 5,000), "
                        f"p50 {got['p50_ms']:.1f} ms, p99 {got['p99_ms']:.1f} ms",
                        flush=True,
                    )
                if "batched" in parts:
                    for callers in (4, 16):
                        with runs.server(port, FRONTS[front]):
                            got = generator.run("closed", port, RECORD, many, callers)
                            stored = runs.new()
                        assert set(got["codes"]) == {"0"}, got
                        assert 1000 * got["codes"]["0"] <= stored
                        known = "" if stored < len(events) else ", SOME OF THEM KNOWN"
                        print(
                            f"{front}: 1,000 events a call, {callers} callers: {1000 * got['rate']:,.0f} events/s "
                            f"(goal 50,000), p50 {got['p50_ms']:.1f} ms, p99 {got['p99_ms']:.1f} ms{known}",
                            flush=True,
                        )
                if "streamed" in parts:
                    batches = [r.SerializeToString() for r in requests[: options.batches]]
                    for streams in (1, 4):
                        with runs.server(port, FRONTS[front]):
                            rate, p50, p99 = stream(port, batches, streams, 8)
                            assert runs.new() == 1000 * len(batches)
                        print(
                            f"{front}: {streams} stream(s) of 1,000-event batches: {rate:,.0f} events/s (goal 50,000), "
                            f"acknowledged in p50 {p50:.1f} ms, p99 {p99:.1f} ms",
                            flush=True,
                        )
                if "lag" in parts:
                    for load in (0, 1000):
                        with runs.server(port, FRONTS[front]):
                            other = threading.Thread(target=generator.run, args=("open", port, RECORD, one, load))
                            if load:
                                other.start()
                                time.sleep(0.5)
                            times, at_once = lag(port, options.lags, number)
                            if load:
                                other.join()
                        p50, p99 = statistics.median(times), times[int(0.99 * len(times))]
                        print(
                            f"{front}: lag beside {load:,} events/s: p50 {p50:.2f} ms, p99 {p99:.2f} ms (goal 20), "
                            f"longest {times[-1]:.2f} ms; {at_once} of {len(times)} in the next answer",
                            flush=True,
                        )
    print(f"wall {time.perf_counter() - began:.0f} s")


if __name__ == "__main__":
    main()
