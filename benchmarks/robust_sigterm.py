"""SIGTERM under load, again and again: is any accepted call lost, and does health turn before the port closes?

Callers with calls of every kind in flight (unary, batches, events, streams of events, calls passed on) know two
servers, as behind a balancer; one is told to end. Each call brings a name of its own in ``x-request-id``, and the
server that ends logs every call that it begins, so that the two accounts can be compared. A call that is not OK

* was begun when the server's log names it: a failure;
* was refused when the log does not: gRPC turned it away before any handler saw it. The caller sends it to the other
  server, as its service config would.

``--retrying``: the callers have both addresses in one channel and the service config that ships beside the protos; then
what the application sees is counted, and every call must be OK. Every event acknowledged must be in a store.

``--texts``: callers of streams of generated text, too (``robust_texts.py``), known beforehand to the last token. One of
which anything came, or which is in the log, either ends whole with OK within the grace period or, where it takes longer
than that, with UNAVAILABLE and the reason SERVER_ENDING. ``--overlong`` callers ask for texts that do take longer than
a short ``--drain-ms``. ``--group``: the signal goes to all processes of the server, as a terminal or a service manager
sends it.

No call is refused for the time that it would wait (``TARGET_MS=0``): what is asked is who ends, not who waits.

Prediction, written before the run: some tens of calls in 20 ends are refused with CANCELLED or UNAVAILABLE, not one of
them is in the server's log; with the service config the application sees no failure; Check and Watch see NOT_SERVING
about 500 ms before the port closes; the end within a second after it. Of the texts, written before theirs: those that
fit end whole; those that do not are cut off by gRPC itself, UNAVAILABLE but without a reason.

python benchmarks/robust_sigterm.py [--home DIR] [--rounds 20] [--front ingress] [--retrying] [--texts 6]
"""

from __future__ import annotations

import argparse
import contextlib
import json
import random
import re
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
import psutil
from grpc_health.v1 import health_pb2, health_pb2_grpc
from robust_server import Served, trained_home
from robust_texts import ENDING, TextCallers, add_writer, known_texts

from aigc.v1 import admin_service_pb2 as admin
from aigc.v1 import admin_service_pb2_grpc, event_pb2, event_service_pb2_grpc, recommendation_service_pb2_grpc
from aigc.v1 import event_service_pb2 as events
from aigc.v1 import recommendation_service_pb2 as pb

NOTICE_S = 0.5
CONFIG = Path(__file__).resolve().parents[1] / "proto" / "aigc" / "v1" / "aigc_v1_service_config.json"
REFUSED = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED)


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
        """Wait until it has seen all."""
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

    def __init__(self, server: Served, other: Served, callers: int, seed: int, *, retrying: bool) -> None:
        self.ended = threading.Event()
        self.outcomes: Counter[str] = Counter()
        self.not_ok: dict[str, str] = {}
        """Name of a call to the server that ends → what its caller was told."""
        self.acknowledged: set[str] = set()
        self._retrying = retrying
        self._addresses = server.address, other.address
        self._lock = threading.Lock()
        kinds = ("Recommend", "BatchRecommend", "RecordEvents", "StreamEvents", "passed on", "SimilarItems")
        self._threads = [
            threading.Thread(target=self._run, args=(kinds[i % len(kinds)], i, seed)) for i in range(callers)
        ]
        for thread in self._threads:
            thread.start()

    def join(self) -> None:
        """Call no more, and wait."""
        self.ended.set()
        for thread in self._threads:
            thread.join()

    def _channels(self) -> list[grpc.Channel]:
        options: list[tuple[str, object]] = [("grpc.use_local_subchannel_pool", 1)]
        if not self._retrying:
            return [grpc.insecure_channel(address, options=options) for address in self._addresses]
        options.append(("grpc.service_config", CONFIG.read_text()))
        return [grpc.insecure_channel("ipv4:" + ",".join(self._addresses), options=options)]

    def _run(self, kind: str, number: int, seed: int) -> None:
        rng = random.Random(f"{seed}-{number}")
        channels = self._channels()
        where = 0
        sequence = 0
        while not self.ended.is_set():
            names = [f"{seed}-{number}-{sequence}-{i}" for i in range(8)]
            sequence += 1
            try:
                self._call(kind, channels[where], rng, names)
                outcome = "OK"
            except grpc.RpcError as error:
                outcome = f"{error.code().name}: {re.sub(r'ipv4:[0-9.:]+', 'it', str(error.details()))}"
                if where == 0:
                    with self._lock:
                        self.not_ok[names[0]] = outcome
                    if not self._retrying and error.code() in REFUSED:
                        where = 1
            with self._lock:
                self.outcomes[outcome] += 1
        for channel in channels:
            channel.close()

    def _call(self, kind: str, channel: grpc.Channel, rng: random.Random, names: list[str]) -> None:
        called = {"metadata": [("x-request-id", names[0])], "timeout": 20}
        recommending = recommendation_service_pb2_grpc.RecommendationServiceStub(channel)
        recording = event_service_pb2_grpc.EventServiceStub(channel)
        one = pb.RecommendRequest(user_id=str(rng.randrange(1, 600)), n=20)
        if kind == "Recommend":
            recommending.Recommend(one, **called)
        elif kind == "BatchRecommend":
            recommending.BatchRecommend(pb.BatchRecommendRequest(requests=[one] * 64), **called)
        elif kind == "SimilarItems":
            recommending.SimilarItems(pb.SimilarItemsRequest(item_id="1", n=20), **called)
        elif kind == "passed on":
            if rng.random() < 0.5:
                recommending.SimilarUsers(pb.SimilarUsersRequest(user_id=one.user_id, n=10), **called)
            else:
                admin_service_pb2_grpc.AdminServiceStub(channel).GetStatus(admin.GetStatusRequest(), **called)
        else:
            made = [event_pb2.Event(id=n, user_id=one.user_id, item_id="1", type="view") for n in names]
            if kind == "RecordEvents":
                recording.RecordEvents(events.RecordEventsRequest(events=made), **called)
                with self._lock:
                    self.acknowledged.update(names)
            else:
                batches = (events.StreamEventsRequest(events=[event]) for event in made)
                for answer in recording.StreamEvents(batches, **called):
                    with self._lock:
                        self.acknowledged.add(names[answer.batch_index])


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--home", type=Path)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--front", choices=("ingress", "control"), default="ingress")
    parser.add_argument("--retrying", action="store_true", help="Callers with the service config beside the protos")
    parser.add_argument("--callers", type=int, default=24, help="Of all but texts")
    parser.add_argument("--texts", type=int, default=0, help="Callers of streams of text")
    parser.add_argument("--overlong", type=int, default=0, help="More of them, whose texts take longer than the drain")
    parser.add_argument("--drain-ms", type=int, default=10_000)
    parser.add_argument("--group", action="store_true", help="The signal goes to all processes of the server")
    parser.add_argument("--sanitized", type=Path)
    options = parser.parse_args()
    started = time.perf_counter()
    totals: Counter[str] = Counter()
    texts: Counter[str] = Counter()
    check_lead, watch_lead, drains, ends = [], [], [], []
    lost = failed = refused = open_texts = 0
    # As docs/lifecycle.md tells Kubernetes.
    grace_s = NOTICE_S + options.drain_ms / 1000 + 10
    cut_s = NOTICE_S + options.drain_ms / 1000
    with tempfile.TemporaryDirectory(prefix="aigc-sigterm-") as name:
        home = trained_home(Path(name), options.home)
        if options.texts or options.overlong:
            add_writer(home)
        shutil.copytree(home, Path(name) / "other")
        waits = {"AIGC_SERVER__INGRESS__TARGET_MS": "0"}
        with Served(Path(name) / "other", options.front, **waits) as other:
            known = known_texts(other.address) if options.texts else {}
            for number in range(options.rounds):
                log = Path(name) / f"{number}.log"
                environment = {"AIGC_LOG__LEVEL": "info", "AIGC_SERVER__DRAIN_MS": str(options.drain_ms), **waits}
                server = Served(home, options.front, sanitized=options.sanitized, log=log, **environment)
                readers = TextCallers(server.address, known, options.texts, options.overlong, number, grace_s=cut_s)
                readers.wait_for_the_first()
                watcher = Watcher(server)
                callers = Callers(server, other, options.callers, number, retrying=options.retrying)
                time.sleep(0.7 + 0.3 * random.Random(number).random())
                told = time.monotonic()
                readers.tell()
                tell(server, group=options.group)
                status = server.process.wait(60)
                over = time.monotonic()
                time.sleep(0.2)
                callers.join()
                watcher.join()
                readers.join()
                begun = begun_calls(log)
                broken = {n: w for n, w in callers.not_ok.items() if options.retrying or n in begun}
                broken |= readers.wrong
                broken |= {n: w for n, w in readers.silent.items() if n in begun and w != ENDING}
                failed += len(broken)
                refused += len(callers.not_ok.keys() - broken.keys()) + len(readers.silent.keys() - begun)
                others = sum(c for what, c in callers.outcomes.items() if what != "OK") - len(callers.not_ok)
                failed += others
                if broken or others:
                    some = dict(list(broken.items())[:5])
                    print(f"  round {number}: failed {len(broken)}, such as {some}, at the other server {others}")
                totals.update(callers.outcomes)
                texts.update(readers.outcomes)
                open_texts += readers.open_at
                stored = stored_of(home, Path(name) / "other")
                lost += len(callers.acknowledged - stored)
                check_lead.append(watcher.closed - watcher.checked if watcher.checked else -1.0)
                watch_lead.append(watcher.closed - watcher.watched if watcher.watched else -1.0)
                drains.append(over - watcher.closed)
                ends.append(over - told)
                if status != 0 or watcher.watch_ended != "OK" or "terminate called" in server.said():
                    print(
                        f"  round {number}: exit status {status}, Watch ended {watcher.watch_ended}; "
                        f"{server.said()[-500:]}"
                    )
                    failed += status != 0
    callers_are = "with the service config" if options.retrying else "without retries"
    print(f"{options.front}, callers {callers_are}: {options.rounds} ends; calls {totals['OK']:,} OK")
    print(f"not OK, and not begun by the server, as its log shows: {refused}")
    for what, count in totals.most_common():
        if what != "OK":
            print(f"  {count} × {what}")
    if texts:
        print(f"streams of text: {open_texts} were being read when the signal came; of all")
        for what, count in texts.most_common():
            print(f"  {count} × {what}")
    print(f"failed although begun: {failed} (goal 0); acknowledged and lost: {lost} (goal 0)")
    for label, values in (("Check", check_lead), ("Watch", watch_lead)):
        print(
            f"{label} said NOT_SERVING before the port closed: {min(values) * 1e3:.0f} ms at least, "
            f"median {statistics.median(values) * 1e3:.0f}"
        )
    print(
        f"from the port's close to the end: median {statistics.median(drains):.2f} s, most {max(drains):.2f}; ", end=""
    )
    print(
        f"from SIGTERM to the end: most {max(ends):.2f} s (grace {grace_s:g}); "
        f"wall {time.perf_counter() - started:.0f} s"
    )
    return int(bool(failed or lost or min(check_lead) <= 0 or min(watch_lead) <= 0 or max(ends) > grace_s))


def tell(server: Served, *, group: bool) -> None:
    """SIGTERM to the server, with ``group`` to what it started, too."""
    children = psutil.Process(server.process.pid).children(recursive=True) if group else []
    for child in children:
        child.send_signal(signal.SIGTERM)
    server.process.send_signal(signal.SIGTERM)


def begun_calls(log: Path) -> set[str]:
    """Names of the calls that a server's log tells of; every call that a handler was given has its line."""
    lines = (line for line in log.read_text(errors="replace").splitlines() if '"request_id"' in line)
    return {json.loads(line)["request_id"] for line in lines}


def stored_of(*homes: Path) -> set[str]:
    """Ids of the events of these data directories."""
    found: set[str] = set()
    for home in homes:
        with contextlib.closing(sqlite3.connect(home / "aigc.sqlite")) as connection:
            found.update(i for (i,) in connection.execute("SELECT id FROM events WHERE id LIKE '%-%-%-%'"))
    return found


if __name__ == "__main__":
    sys.exit(main())
