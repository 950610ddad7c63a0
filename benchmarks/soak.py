"""Everything at once for minutes: does anything grow, fail or get slower?

Recommend, BatchRecommend, SimilarItems and RecordEvents, calls that are passed on, streams of events, health checks, a
snapshot swapped in every few seconds, and clients that vanish, speak nonsense and do not read. One line a minute; the
verdict is on the slope of the memory after the first minutes, on errors, and on file descriptors and threads.

Prediction, written before the run: no error, under 1 MB a minute of anonymous memory after the third minute, as many
descriptors and threads at the end as after the start.

python benchmarks/soak.py --minutes 10 [--home DIR] [--sanitized build/ingress-address/_ingress.so]
"""

from __future__ import annotations

import argparse
import random
import statistics
import sys
import tempfile
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from pathlib import Path

import grpc
import numpy as np
from grpc_health.v1 import health_pb2, health_pb2_grpc
from robust_server import Served, Usage, snapshot_ids, trained_home

from aigc.index.snapshot import SnapshotFolder
from aigc.v1 import admin_service_pb2 as admin
from aigc.v1 import admin_service_pb2_grpc, event_pb2, event_service_pb2_grpc, recommendation_service_pb2_grpc
from aigc.v1 import event_service_pb2 as events
from aigc.v1 import recommendation_service_pb2 as pb
from tests.faults import hostile

USERS = 671
SLOPE_MB = 1.0
"""A minute, of anonymous memory, after the third minute."""


class Load:
    """Threads that call, each at its own pace, and what they saw."""

    def __init__(self, server: Served, seed: int) -> None:
        self.server = server
        self.ended = threading.Event()
        self.times: dict[str, list[float]] = defaultdict(list)
        self.errors: Counter[str] = Counter()
        self.calls: Counter[str] = Counter()
        self._lock = threading.Lock()
        self._rng = random.Random(seed)
        self._threads: list[threading.Thread] = []
        self._numbers = iter(range(10**12))

    def start(
        self, name: str, rate: float, prepare: Callable[[grpc.Channel, random.Random], Callable[[], object]]
    ) -> None:
        """One thread with a channel of its own that calls ``rate`` times a second."""
        rng = random.Random(self._rng.random())

        def run() -> None:
            options = [("grpc.use_local_subchannel_pool", 1)]
            with grpc.insecure_channel(self.server.address, options=options) as channel:
                once = prepare(channel, rng)
                due = time.perf_counter()
                while not self.ended.is_set():
                    due = max(due + 1 / rate, time.perf_counter() - 1)
                    self.ended.wait(max(0.0, due - time.perf_counter()))
                    began = time.perf_counter()
                    try:
                        once()
                    except grpc.RpcError as error:
                        with self._lock:
                            self.errors[f"{name}: {error.code().name} {error.details()}"[:160]] += 1
                    with self._lock:
                        self.calls[name] += 1
                        self.times[name].append(time.perf_counter() - began)

        thread = threading.Thread(target=run, name=name)
        thread.start()
        self._threads.append(thread)

    def take(self) -> dict[str, list[float]]:
        """The seconds of each call since the last take."""
        with self._lock:
            taken, self.times = self.times, defaultdict(list)
        return taken

    def stop(self) -> None:
        """End the load, and wait."""
        self.ended.set()
        for thread in self._threads:
            thread.join()


def start_all(load: Load, scale: float) -> None:
    def user(rng: random.Random) -> str:
        return str(rng.randrange(1, USERS + 1))

    def recommending(channel: grpc.Channel, rng: random.Random) -> Callable[[], object]:
        stub = recommendation_service_pb2_grpc.RecommendationServiceStub(channel)
        return lambda: stub.Recommend(
            pb.RecommendRequest(user_id=user(rng), n=20, explain=rng.random() < 0.1), timeout=20
        )

    def batching(channel: grpc.Channel, rng: random.Random) -> Callable[[], object]:
        stub = recommendation_service_pb2_grpc.RecommendationServiceStub(channel)
        return lambda: stub.BatchRecommend(
            pb.BatchRecommendRequest(requests=[pb.RecommendRequest(user_id=user(rng), n=20) for _ in range(64)]),
            timeout=20,
        )

    def similar(channel: grpc.Channel, rng: random.Random) -> Callable[[], object]:
        stub = recommendation_service_pb2_grpc.RecommendationServiceStub(channel)
        return lambda: stub.SimilarItems(pb.SimilarItemsRequest(item_id=str(rng.randrange(1, 30)), n=20), timeout=20)

    def event(rng: random.Random) -> event_pb2.Event:
        # The same thousands of ids again: what is stored, and each user's history, stays as large as it is.
        number = rng.randrange(20_000)
        return event_pb2.Event(
            id=f"soak-{number}", user_id=str(number % USERS + 1), item_id=str(number % 29 + 1), type="view"
        )

    def recording(channel: grpc.Channel, rng: random.Random) -> Callable[[], object]:
        stub = event_service_pb2_grpc.EventServiceStub(channel)
        return lambda: stub.RecordEvents(events.RecordEventsRequest(events=[event(rng) for _ in range(4)]), timeout=20)

    def streaming(channel: grpc.Channel, rng: random.Random) -> Callable[[], object]:
        stub = event_service_pb2_grpc.EventServiceStub(channel)

        def once() -> None:
            batches = [events.StreamEventsRequest(events=[event(rng) for _ in range(8)]) for _ in range(10)]
            answers = list(stub.StreamEvents(iter(batches), timeout=20))
            assert len(answers) == 10, len(answers)

        return once

    def passed_on(channel: grpc.Channel, rng: random.Random) -> Callable[[], object]:
        stub = recommendation_service_pb2_grpc.RecommendationServiceStub(channel)
        status = admin_service_pb2_grpc.AdminServiceStub(channel)
        ways: list[Callable[[], object]] = [
            lambda: stub.SimilarUsers(pb.SimilarUsersRequest(user_id=user(rng), n=10), timeout=20),
            lambda: stub.Search(pb.SearchRequest(text="space war", n=10), timeout=20),
            lambda: stub.Recommend(pb.RecommendRequest(user_id=user(rng), n=10, strategy="content"), timeout=20),
            lambda: status.GetStatus(admin.GetStatusRequest(), timeout=20),
        ]
        return lambda: rng.choice(ways)()

    def wrong(channel: grpc.Channel, _: random.Random) -> Callable[[], object]:
        stub = recommendation_service_pb2_grpc.RecommendationServiceStub(channel)

        def once() -> None:
            try:
                stub.Recommend(pb.RecommendRequest(n=-1), timeout=20)
            except grpc.RpcError as error:
                if error.code() is not grpc.StatusCode.INVALID_ARGUMENT:
                    raise

        return once

    def health(channel: grpc.Channel, _: random.Random) -> Callable[[], object]:
        stub = health_pb2_grpc.HealthStub(channel)
        watch = stub.Watch(health_pb2.HealthCheckRequest())
        next(watch)

        def once() -> None:
            assert stub.Check(health_pb2.HealthCheckRequest(), timeout=20).status == 1
            short = stub.Watch(health_pb2.HealthCheckRequest(service="aigc.v1.EventService"), timeout=20)
            assert next(short).status == 1
            short.cancel()

        return once

    for number in range(2):
        load.start("Recommend", 150 * scale, recommending)
        load.start("RecordEvents", 40 * scale, recording)
        load.start("passed on", 15 * scale, passed_on)
        del number
    load.start("BatchRecommend", 10 * scale, batching)
    load.start("SimilarItems", 50 * scale, similar)
    load.start("StreamEvents", 5 * scale, streaming)
    load.start("wrong", 5 * scale, wrong)
    load.start("health", 5 * scale, health)


def molest(server: Served, ended: threading.Event, seen: Counter[str], rate: float) -> None:
    """Clients that vanish, ``rate`` a second, and now and then all of the nonsense and some slow readers."""
    address = server.host, server.port
    round_number = 0
    while not ended.is_set():
        began = time.perf_counter()
        seen.update(hostile.vanish(address, int(rate), seed=round_number, threads=4))
        if round_number % 10 == 5:
            for what in hostile.MALFORMED.values():
                if not ended.is_set():
                    hostile.malform(address, what)
            seen["malformed"] += len(hostile.MALFORMED)
        if round_number % 10 == 8:
            held = hostile.slow_readers(address, 8, 32) + hostile.slow_senders(address, 50)
            ended.wait(0.5)
            for sock in held:
                sock.close()
            seen["slow"] += len(held)
        round_number += 1
        ended.wait(max(0.0, 1 - (time.perf_counter() - began)))


def swap(home: Path, ended: threading.Event, seen: Counter[str], every_s: float) -> None:
    folder, ids = SnapshotFolder(home / "snapshots"), snapshot_ids(home)
    while not ended.wait(every_s):
        folder.publish(ids[seen["swaps"] % len(ids)])
        seen["swaps"] += 1


def slope(values: list[float], step: float) -> float:
    return float(np.polyfit(np.arange(len(values)) * step, values, 1)[0])


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--home", type=Path, help="A trained data directory; it is copied")
    parser.add_argument("--front", choices=("ingress", "control"), default="ingress")
    parser.add_argument("--sanitized", type=Path)
    parser.add_argument("--scale", type=float, default=1, help="Of all rates")
    parser.add_argument("--swap-every", type=float, default=5, help="Seconds")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    started = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="aigc-soak-") as name:
        home = trained_home(Path(name), options.home, snapshots=2)
        with Served(home, options.front, sanitized=options.sanitized) as server:
            print(f"{options.front}, {options.minutes:g} minutes; at the start {server.usage()}")
            load, seen = Load(server, options.seed), Counter[str]()
            start_all(load, options.scale)
            others = [
                threading.Thread(target=molest, args=(server, load.ended, seen, 16 * options.scale)),
                threading.Thread(target=swap, args=(home, load.ended, seen, options.swap_every)),
            ]
            for thread in others:
                thread.start()
            usages: list[tuple[float, Usage]] = []
            begun = time.monotonic()
            minute = 1
            while (at := time.monotonic() - begun) < options.minutes * 60 and server.process.poll() is None:
                time.sleep(2)
                if server.process.poll() is None:
                    usages.append((at, server.usage()))
                if time.monotonic() - begun >= 60 * minute:
                    print(line(minute, load, usages), flush=True)
                    minute += 1
            alive = server.process.poll() is None
            load.stop()
            for thread in others:
                thread.join()
            if not alive:
                print(server.said()[-8000:])
                print(f"the server ENDED with status {server.process.returncode}")
                return 1
            time.sleep(2)
            last = server.usage()
            print(f"at rest {last}; children {[str(u) for u in server.others()]}")
            print(f"calls {dict(load.calls)}, {dict(seen)}, wall {time.perf_counter() - started:.0f} s")
            print(f"errors: {dict(load.errors) or 'none'}")
            late = [u.anonymous for at, u in usages if at >= 180] or [u.anonymous for _, u in usages]
            grown = slope(late, 1 / 30)
            print(f"anonymous memory after the third minute: {grown:+.2f} MB a minute (goal at most {SLOPE_MB:g})")
            status = server.end()
            said = server.said()
            print(f"SIGTERM: exit status {status}; lines of errors in its log: {said.count(chr(10)) - 1}")
            if said.count("\n") > 1:
                print(said[-3000:])
            return int(bool(load.errors) or grown > SLOPE_MB or status != 0)


def line(minute: int, load: Load, usages: list[tuple[float, Usage]]) -> str:
    taken = load.take()
    recent = [u for at, u in usages if at >= 60 * (minute - 1)]
    parts = [
        f"minute {minute}: rss {statistics.median(u.rss for u in recent):.0f} MB, anonymous "
        f"{statistics.median(u.anonymous for u in recent):.1f}, fds {statistics.median(u.fds for u in recent):.0f}, "
        f"threads {statistics.median(u.threads for u in recent):.0f}, errors {sum(load.errors.values())}; p99 ms"
    ]
    parts += [f"{name} {np.percentile(taken[name], 99) * 1e3:.1f}" for name in sorted(taken)]
    return " ".join(parts)


if __name__ == "__main__":
    sys.exit(main())
