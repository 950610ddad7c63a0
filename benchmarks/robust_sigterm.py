"""SIGTERM under load, again and again: is any accepted call lost, and does health turn before the port closes?

Callers with calls of every kind in flight (unary, batches, events, streams of events, calls passed on) know two
servers, as behind a balancer; one is told to end. What a caller sees is one of three:

* OK;
* UNAVAILABLE for a call that was started after the port had closed, or that gRPC refused before the server saw it
  (GOAWAY): it was never accepted, and succeeds at the other server, where it is sent at once;
* anything else, and UNAVAILABLE for a call whose server had begun it: a failure.

A call counts as begun when it was sent before the port closed and health had said SERVING at that moment or NOT_SERVING
after. gRPC repeats by itself what a GOAWAY refused, so every call that started before the port closed must end OK; the
callers do not repeat those. Every event acknowledged must be in the store.

Prediction, written before the run: no failure and no event lost in 20 ends on either front; Check and Watch see
NOT_SERVING about 500 ms before the port closes; the end within a second after it.

python benchmarks/robust_sigterm.py [--home DIR] [--rounds 20] [--front ingress]
"""

from __future__ import annotations

import argparse
import contextlib
import random
import shutil
import signal
import socket
import sqlite3
import statistics
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from robust_server import Served, trained_home

from aigc.v1 import admin_service_pb2 as admin
from aigc.v1 import admin_service_pb2_grpc, event_pb2, event_service_pb2_grpc, recommendation_service_pb2_grpc
from aigc.v1 import event_service_pb2 as events
from aigc.v1 import recommendation_service_pb2 as pb

CALLERS = 24
GRACE_S = 10.0


class Watcher:
    """Health by Check every 20 ms and by Watch, and whether the port takes connections; each turn's time."""

    def __init__(self, server: Served) -> None:
        self.server = server
        self.checked = self.watched = self.closed = 0.0
        self.watch_ended = ""
        self._threads = [threading.Thread(target=run) for run in (self._check, self._watch, self._connect)]
        for thread in self._threads:
            thread.start()

    def join(self) -> None:
        """Wait for all callers."""
        for thread in self._threads:
            thread.join()

    def _check(self) -> None:
        with grpc.insecure_channel(self.server.address, options=[("grpc.use_local_subchannel_pool", 1)]) as channel:
            stub = health_pb2_grpc.HealthStub(channel)
            while True:
                try:
                    if stub.Check(health_pb2.HealthCheckRequest(), timeout=5).status != 1:
                        self.checked = time.monotonic()
                        return
                except grpc.RpcError:
                    return
                time.sleep(0.02)

    def _watch(self) -> None:
        with grpc.insecure_channel(self.server.address, options=[("grpc.use_local_subchannel_pool", 1)]) as channel:
            try:
                for answer in health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest()):
                    if answer.status != 1 and not self.watched:
                        self.watched = time.monotonic()
                self.watch_ended = "OK"
            except grpc.RpcError as error:
                self.watch_ended = error.code().name

    def _connect(self) -> None:
        host, port = self.server.host, self.server.port
        while True:
            try:
                with socket.create_connection((host, port), timeout=5):
                    pass
            except OSError:
                self.closed = time.monotonic()
                return
            time.sleep(0.01)


class Callers:
    """Threads with calls in flight at ``server``; what it did not accept goes to ``other``."""

    def __init__(self, server: Served, other: Served, seed: int) -> None:
        self.ended = threading.Event()
        self.outcomes: Counter[str] = Counter()
        self.refused: list[tuple[float, str]] = []
        self.acknowledged: set[str] = set()
        self._addresses = server.address, other.address
        self._lock = threading.Lock()
        kinds = ("Recommend", "BatchRecommend", "RecordEvents", "StreamEvents", "passed on", "SimilarItems")
        self._threads = [
            threading.Thread(target=self._run, args=(kinds[i % len(kinds)], i, seed)) for i in range(CALLERS)
        ]
        for thread in self._threads:
            thread.start()

    def join(self) -> None:
        """Stop looking, and wait."""
        self.ended.set()
        for thread in self._threads:
            thread.join()

    def _run(self, kind: str, number: int, seed: int) -> None:
        rng = random.Random(f"{seed}-{number}")
        options = [("grpc.use_local_subchannel_pool", 1)]
        channels = [grpc.insecure_channel(a, options=options) for a in self._addresses]
        where = 0
        sequence = 0
        while not self.ended.is_set():
            names = [f"{seed}-{number}-{sequence}-{i}" for i in range(8)]
            sequence += 1
            began = time.monotonic()
            try:
                self._call(kind, channels[where], rng, names)
                outcome = "OK"
            except grpc.RpcError as error:
                outcome = f"{kind}: {error.code().name}: {error.details()}"
                if where == 0 and error.code() is grpc.StatusCode.UNAVAILABLE:
                    with self._lock:
                        self.refused.append((began, outcome))
                    outcome = "sent again"
                    where = 1
            with self._lock:
                self.outcomes[outcome] += 1
        for channel in channels:
            channel.close()

    def _call(self, kind: str, channel: grpc.Channel, rng: random.Random, names: list[str]) -> None:
        recommending = recommendation_service_pb2_grpc.RecommendationServiceStub(channel)
        recording = event_service_pb2_grpc.EventServiceStub(channel)
        one = pb.RecommendRequest(user_id=str(rng.randrange(1, 600)), n=20)
        if kind == "Recommend":
            recommending.Recommend(one, timeout=20)
        elif kind == "BatchRecommend":
            recommending.BatchRecommend(pb.BatchRecommendRequest(requests=[one] * 64), timeout=20)
        elif kind == "SimilarItems":
            recommending.SimilarItems(pb.SimilarItemsRequest(item_id="1", n=20), timeout=20)
        elif kind == "passed on":
            if rng.random() < 0.5:
                recommending.SimilarUsers(pb.SimilarUsersRequest(user_id=one.user_id, n=10), timeout=20)
            else:
                admin_service_pb2_grpc.AdminServiceStub(channel).GetStatus(admin.GetStatusRequest(), timeout=20)
        else:
            made = [event_pb2.Event(id=n, user_id=one.user_id, item_id="1", type="view") for n in names]
            if kind == "RecordEvents":
                recording.RecordEvents(events.RecordEventsRequest(events=made), timeout=20)
                with self._lock:
                    self.acknowledged.update(names)
            else:
                batches = (events.StreamEventsRequest(events=[event]) for event in made)
                for answer in recording.StreamEvents(batches, timeout=20):
                    with self._lock:
                        self.acknowledged.add(names[answer.batch_index])


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--home", type=Path)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--front", choices=("ingress", "control"), default="ingress")
    parser.add_argument("--sanitized", type=Path)
    options = parser.parse_args()
    started = time.perf_counter()
    totals: Counter[str] = Counter()
    check_lead, watch_lead, drains, ends = [], [], [], []
    lost = failed = 0
    with tempfile.TemporaryDirectory(prefix="aigc-sigterm-") as name:
        home = trained_home(Path(name), options.home)
        shutil.copytree(home, Path(name) / "other")
        with Served(Path(name) / "other", options.front) as other:
            for number in range(options.rounds):
                server = Served(home, options.front, sanitized=options.sanitized)
                watcher = Watcher(server)
                callers = Callers(server, other, number)
                time.sleep(0.7 + 0.3 * random.Random(number).random())
                told = time.monotonic()
                server.process.send_signal(signal.SIGTERM)
                status = server.process.wait(60)
                over = time.monotonic()
                time.sleep(0.2)
                callers.join()
                watcher.join()
                broken = [what for began, what in callers.refused if began < watcher.closed - 0.02]
                failed += len(broken) + sum(
                    count for what, count in callers.outcomes.items() if what not in ("OK", "sent again")
                )
                if broken or set(callers.outcomes) - {"OK", "sent again"}:
                    print(f"  round {number}: {broken[:5]} {dict(callers.outcomes)}")
                totals.update(callers.outcomes)
                stored = stored_of(home, Path(name) / "other")
                lost += len(callers.acknowledged - stored)
                check_lead.append(watcher.closed - watcher.checked if watcher.checked else -1.0)
                watch_lead.append(watcher.closed - watcher.watched if watcher.watched else -1.0)
                drains.append(over - watcher.closed)
                ends.append(over - told)
                if status != 0 or watcher.watch_ended != "OK":
                    print(
                        f"  round {number}: exit status {status}, Watch ended {watcher.watch_ended}; "
                        f"{server.said()[-500:]}"
                    )
                    failed += status != 0
    print(
        f"{options.front}: {options.rounds} ends; calls {totals['OK']:,} OK, "
        f"{totals['sent again']} refused and sent again"
    )
    print(f"failed although accepted: {failed} (goal 0); acknowledged and lost: {lost} (goal 0)")
    for label, values in (("Check", check_lead), ("Watch", watch_lead)):
        print(
            f"{label} said NOT_SERVING before the port closed: {min(values) * 1e3:.0f} ms at least, "
            f"median {statistics.median(values) * 1e3:.0f}"
        )
    print(
        f"from the port's close to the end: median {statistics.median(drains):.2f} s, most {max(drains):.2f}; ", end=""
    )
    print(
        f"from SIGTERM to the end: most {max(ends):.2f} s (grace {GRACE_S:g}); "
        f"wall {time.perf_counter() - started:.0f} s"
    )
    return int(bool(failed or lost or min(check_lead) <= 0 or min(watch_lead) <= 0 or max(ends) > GRACE_S))


def stored_of(*homes: Path) -> set[str]:
    """Ids of the events of these data directories."""
    found: set[str] = set()
    for home in homes:
        with contextlib.closing(sqlite3.connect(home / "aigc.sqlite")) as connection:
            found.update(i for (i,) in connection.execute("SELECT id FROM events WHERE id LIKE '%-%-%-%'"))
    return found


if __name__ == "__main__":
    sys.exit(main())
