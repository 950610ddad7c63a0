"""A two-node Ray cluster on this machine: a node is killed under load, events cross replicas, a training survives.

Predictions, written before the first run: no call is lost for ever; calls that fail at first are those in flight on
the killed node, fewer than 1 % of a minute's, and succeed within a second; the service has all replicas again within
40 s (Ray takes 15 s to believe that a node is dead); an event through either proxy is in the answers of both replicas
within 1 s; two Ray workers give the very weights of two processes under torchrun, also after one's node was killed.

Run: python benchmarks/ray_cluster.py [serve|replace|freeze|events|train …] [--rate 40]; needs the extra `ray` and
PostgreSQL's server programs. `serve` leaves room on the head for the lost replica; with `replace` a new node must join
first; with `freeze` the node is stopped instead of killed.
"""

from __future__ import annotations

import argparse
import asyncio
import collections
import hashlib
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import numpy as np

from aigc.v1 import event_pb2, event_service_pb2, event_service_pb2_grpc, recommendation_service_pb2_grpc
from aigc.v1 import recommendation_service_pb2 as pb
from aigc_server.app import open_platform
from aigc_server.settings import Settings, StoreSettings

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tests.postgres import cluster as postgres  # noqa: E402
from tests.postgres import new_database  # noqa: E402
from tests.ray_nodes import ENVIRONMENT, Cluster, Node, cluster, free_port  # noqa: E402
from tests.server.conftest import TOPICS, small_behaviour, small_catalogue  # noqa: E402
from tests.training.dots import TINY, dot_store  # noqa: E402

BEFORE_S, MOST_S, AFTER_S = 10.0, 90.0, 5.0
REPLACED_S = 5.0
CALLERS, CAPACITY_S = 16, 5.0
WHOLE_LIMIT_S = 40.0
SERVICE_CONFIG = (ROOT / "proto/aigc/v1/aigc_v1_service_config.json").read_text()
EVENT_LIMIT_S = 1.0


@dataclass
class Served:
    """What runs: two nodes with a replica and a proxy each."""

    cluster: Cluster
    second: Node
    ports: tuple[int, int]
    started_s: float

    @property
    def addresses(self) -> list[str]:
        """Of the proxies."""
        return [f"127.0.0.1:{port}" for port in self.ports]


def fill(home: Path, url: str) -> None:
    platform = open_platform(Settings(store=StoreSettings(url=url)), home)
    platform.catalog.upsert(small_catalogue())
    platform.behaviour.record(small_behaviour())
    for _ in platform.build():
        pass
    platform.close()


def proxy_ports(grpc_port: int, http_port: int) -> dict[str, str]:
    """Two nodes on one machine cannot have proxies on one port."""
    return {"RAY_SERVE_WORKER_PROXY_GRPC_PORT": str(grpc_port), "RAY_SERVE_WORKER_PROXY_HTTP_PORT": str(http_port)}


@contextmanager
def serving(folder: Path, home: Path, url: str, *, room: int = 2) -> Iterator[Served]:
    """Args: room: for replicas on the head."""
    ports, http = (free_port(), free_port()), (free_port(), free_port())
    with cluster(folder) as made:
        made.add(cpus=room)
        second = made.add(cpus=1, environment=proxy_ports(ports[1], http[1]))
        began = time.perf_counter()
        command = [sys.executable, "-m", "aigc_server.cli", "ray", "serve", "--address", made.address]
        command += ["--home", str(home), "--port", str(ports[0]), "--http-port", str(http[0])]
        log = folder / "serve.log"
        with log.open("wb") as out:
            process = subprocess.Popen(
                command, stdout=out, stderr=out, env=os.environ | ENVIRONMENT | {"AIGC_STORE__URL": url}
            )
        try:
            while b"serving on port" not in log.read_bytes():
                if process.poll() is not None or time.perf_counter() - began > 120:
                    raise SystemExit(f"did not serve:\n{log.read_text()[-3000:]}")
                time.sleep(0.1)
            yield Served(made, second, ports, time.perf_counter() - began)
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(60)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def replicas() -> list[tuple[str, str]]:
    """(node's id, state) of each replica, as Serve's controller believes it."""
    from ray.serve.context import _get_global_client

    details = _get_global_client().get_serve_details()
    return [
        (str(r.get("node_id") or ""), str(getattr(r["state"], "value", r["state"])))
        for r in details["applications"]["aigc"]["deployments"]["aigc"]["replicas"]
    ]


@dataclass
class Tally:
    """What became of calls."""

    calls: int = 0
    failed_once: int = 0
    lost: int = 0
    codes: collections.Counter[str] = field(default_factory=collections.Counter)
    seconds: list[float] = field(default_factory=list)
    last_failure: float = 0.0


async def call_with_retries(stub: Any, user: str, tally: Tally) -> None:
    """As a client does that tries UNAVAILABLE, RESOURCE_EXHAUSTED and its own timeout again, for ten seconds."""
    began = time.perf_counter()
    tally.calls += 1
    wait, failed = 0.05, False
    while True:
        try:
            await stub.Recommend(pb.RecommendRequest(user_id=user, n=10), timeout=2.0)
            break
        except grpc.aio.AioRpcError as error:
            tally.codes[error.code().name] += 1
            tally.failed_once += not failed
            failed, tally.last_failure = True, time.perf_counter()
            retryable = error.code() in (
                grpc.StatusCode.UNAVAILABLE,
                grpc.StatusCode.RESOURCE_EXHAUSTED,
                grpc.StatusCode.DEADLINE_EXCEEDED,
            )
            if not retryable or time.perf_counter() - began > 10:
                tally.lost += 1
                return
        await asyncio.sleep(wait)
        wait = min(1.0, wait * 2)
    tally.seconds.append(time.perf_counter() - began)


async def call_plainly(stub: Any, user: str, tally: Tally) -> None:
    """By gRPC itself, which tries again as the service config that comes with the protos says."""
    began = time.perf_counter()
    tally.calls += 1
    try:
        await stub.Recommend(pb.RecommendRequest(user_id=user, n=10), timeout=10.0)
        tally.seconds.append(time.perf_counter() - began)
    except grpc.aio.AioRpcError as error:
        tally.codes[error.code().name] += 1
        tally.lost += 1
        tally.last_failure = time.perf_counter()


async def load(target: str, config: str, rate: float, call: Any, stop: asyncio.Event) -> Tally:
    """Open loop: a call every 1/rate seconds, whatever became of the others."""
    tally, waiting = Tally(), set[asyncio.Task[None]]()
    options = [("grpc.service_config", config), ("grpc.enable_retries", 1)]
    # A frozen machine closes no connection: the client has to ask, and not to wait a minute for the answer.
    options += [("grpc.keepalive_time_ms", 10_000), ("grpc.keepalive_timeout_ms", 2000)]
    options += [("grpc.http2.ping_timeout_ms", 2000)]
    async with grpc.aio.insecure_channel(target, options=options) as channel:
        stub = recommendation_service_pb2_grpc.RecommendationServiceStub(channel)
        began = time.perf_counter()
        for i in range(1_000_000):
            delay = began + i / rate - time.perf_counter()
            if delay > 0:
                await asyncio.sleep(delay)
            if stop.is_set():
                break
            task = asyncio.create_task(call(stub, f"{TOPICS[i % 4]}-fan-{i % 5}", tally))
            waiting.add(task)
            task.add_done_callback(waiting.discard)
        await asyncio.gather(*waiting)
    return tally


async def throughput(target: str, config: str) -> float:
    """Calls a second of CALLERS that each ask again when answered, all through one channel."""
    answered = 0
    async with grpc.aio.insecure_channel(target, options=[("grpc.service_config", config)]) as channel:
        stub = recommendation_service_pb2_grpc.RecommendationServiceStub(channel)

        async def call_on(caller: int) -> None:
            nonlocal answered
            while True:
                await stub.Recommend(pb.RecommendRequest(user_id=f"{TOPICS[caller % 4]}-fan-0", n=10), timeout=10)
                answered += 1

        callers = [asyncio.create_task(call_on(caller)) for caller in range(CALLERS)]
        # Connections are made, caches are warm.
        await asyncio.sleep(1)
        began, before = time.perf_counter(), answered
        await asyncio.wait(callers, timeout=CAPACITY_S, return_when=asyncio.FIRST_EXCEPTION)
        rate = (answered - before) / (time.perf_counter() - began)
        for caller in callers:
            if caller.done():
                caller.result()
            caller.cancel()
        await asyncio.gather(*callers, return_exceptions=True)
    return rate


async def kill_under_load(served: Served, rate: float, how: str) -> dict[str, Any]:
    """Lose the second node; give tallies and the seconds to each stage of the recovery.

    Args:
        served: Where.
        rate: Calls a second.
        how: ``serve``: killed; ``replace``: killed, and a node added REPLACED_S after; ``freeze``: stopped, so that
            its connections stay open and say nothing, as when a machine loses its power.
    """
    target = "ipv4:" + ",".join(served.addresses)
    robin = {"loadBalancingConfig": [{"round_robin": {}}]}
    shipped = json.dumps(robin | json.loads(SERVICE_CONFIG))
    fast_before = await throughput(target, shipped)
    stop = asyncio.Event()
    with_retries = asyncio.create_task(load(target, json.dumps(robin), rate / 2, call_with_retries, stop))
    plainly = asyncio.create_task(load(target, shipped, rate / 2, call_plainly, stop))
    await asyncio.sleep(BEFORE_S)
    before = await asyncio.to_thread(replicas)
    nodes = {node for node, _ in before}
    killed = time.perf_counter()
    await asyncio.to_thread(served.second.freeze if how == "freeze" else served.second.kill)
    noticed = whole = 0.0
    joining = asyncio.create_task(asyncio.to_thread(add_later, served)) if how == "replace" else None
    while not whole and time.perf_counter() - killed < MOST_S:
        now = await asyncio.to_thread(replicas)
        running = [node for node, state in now if state == "RUNNING"]
        if not noticed and now != before:
            noticed = time.perf_counter() - killed
        if noticed and len(running) == 2 and now != before:
            whole = time.perf_counter() - killed
        await asyncio.sleep(0.1)
    if joining is not None:
        await joining
    await asyncio.sleep(AFTER_S)
    stop.set()
    tallies = {"retries": await with_retries, "shipped": await plainly}
    return tallies | {
        "throughput": (fast_before, await throughput(target, shipped)),
        "noticed": noticed,
        "whole": whole,
        "nodes": len(nodes),
        "killed": killed,
    }


def add_later(served: Served) -> None:
    """Another node, on the ports of the lost one."""
    time.sleep(REPLACED_S)
    served.cluster.add(cpus=1, environment=proxy_ports(served.ports[1], free_port()))


def serve_part(folder: Path, rate: float, how: str) -> bool:
    """Kill a node under load."""
    began = time.perf_counter()
    with postgres(folder / "postgres") as server:
        url = new_database(server, "ray")
        fill(folder / "home", url)
        with (
            serving(folder, folder / "home", url, room=1 if how == "replace" else 2) as served,
            joined(served.cluster.address),
        ):
            told = asyncio.run(kill_under_load(served, rate, how))
    one, other = told["retries"], told["shipped"]
    print(f"two nodes ({told['nodes']} hold the 2 replicas), {rate:.0f} calls/s; started in {served.started_s:.1f} s")
    for name, tally in (("retries by hand", one), ("the shipped service config", other)):
        p50, p99, most = np.percentile(np.array(tally.seconds) * 1000, [50, 99, 100])
        print(
            f"{name}: {tally.calls} calls, {tally.failed_once or tally.lost} failed at first "
            f"({dict(tally.codes)}), {tally.lost} lost; p50 {p50:.1f} ms, p99 {p99:.1f} ms, longest {most:.0f} ms; "
            f"last failure {max(0.0, tally.last_failure - told['killed']):.1f} s after the kill"
        )
    if how == "replace":
        print(f"the head has no room; a new node was started {REPLACED_S:.0f} s after the kill")
    print("{:.0f} calls/s before, {:.0f} after".format(*told["throughput"]) + f" ({CALLERS} callers, flat out)")
    print(f"Serve noticed after {told['noticed']:.1f} s; both replicas run again after {told['whole']:.1f} s")
    holds = told["nodes"] == 2 and not one.lost and not other.lost and 0 < told["whole"] < WHOLE_LIMIT_S
    print(f"{'holds' if holds else 'DOES NOT HOLD'}; {time.perf_counter() - began:.0f} s")
    return holds


@contextmanager
def joined(address: str) -> Iterator[None]:
    """This process as a driver, to ask Serve's controller."""
    os.environ |= ENVIRONMENT
    import ray
    from ray.serve.context import _set_global_client

    ray.init(address=address, log_to_driver=False, logging_level="error", namespace="serve")
    try:
        yield
    finally:
        # It would be asked about the next part's cluster too.
        _set_global_client(None)
        ray.shutdown()


async def event_lags(served: Served, events: int) -> np.ndarray:
    """(events,) s from an acknowledgement by one proxy until both replicas gave answers that know the event.

    Each proxy hands calls to the replica of its own node. An answer knows the event when the liked item, which it named
    before, is left out; six answers in a row must.
    """
    channels = [grpc.aio.insecure_channel(address) for address in served.addresses]
    stubs: list[Any] = [recommendation_service_pb2_grpc.RecommendationServiceStub(c) for c in channels]
    writers: list[Any] = [event_service_pb2_grpc.EventServiceStub(c) for c in channels]
    lags = []
    for i in range(events):
        user, item = f"new-{i}", f"{TOPICS[i % len(TOPICS)]}-{i % 10}"
        asked = pb.RecommendRequest(user_id=user, n=40, strategy="collaborative")
        for stub in stubs:
            if item not in [r.item_id for r in (await stub.Recommend(asked)).items]:
                raise SystemExit(f"{item} is not recommended to begin with: the event could not be seen")
        event = event_pb2.Event(id=f"e-{i}", user_id=user, item_id=item, type="like")
        event.event_time.GetCurrentTime()
        await writers[i % 2].RecordEvents(event_service_pb2.RecordEventsRequest(events=[event]))
        began = time.perf_counter()
        known, lag = 0, 0.0
        while known < 6 and time.perf_counter() - began < 10:
            # The other replica first.
            answer = await stubs[(i + 1 + known) % 2].Recommend(asked)
            known = 0 if item in [r.item_id for r in answer.items] else known + 1
            if known <= 2:
                lag = time.perf_counter() - began
        lags.append(lag)
    for channel in channels:
        await channel.close()
    return np.array(lags)


def answered(log: str) -> dict[str, int]:
    """Process of a replica → Recommend calls that it logged."""
    return dict(
        collections.Counter(re.findall(r"ServeReplica:aigc:aigc pid=(\d+).*RecommendationService/Recommend", log))
    )


def events_part(folder: Path, events: int) -> bool:
    """Events through either proxy, answers of either replica."""
    began = time.perf_counter()
    with postgres(folder / "postgres") as server:
        url = new_database(server, "ray")
        fill(folder / "home", url)
        with serving(folder, folder / "home", url) as served:
            lags = asyncio.run(event_lags(served, events))
            time.sleep(1)
            by = answered((folder / "serve.log").read_text())
    p50, p99, most = np.percentile(lags * 1000, [50, 99, 100])
    holds = bool(lags.max() < EVENT_LIMIT_S) and len(by) == 2
    print(
        f"{events} events through alternating proxies: p50 {p50:.1f} ms, p99 {p99:.1f} ms, longest {most:.1f} ms until "
        f"both replicas had given answers that know it, the time of these answers included (limit {EVENT_LIMIT_S:.0f} "
        f"s); answers by replica: {by}"
    )
    print(f"{'holds' if holds else 'DOES NOT HOLD'}; {time.perf_counter() - began:.0f} s")
    return holds


TRAINING = TINY | {"trainer.steps": "1500", "trainer.log_every": "10", "trainer.checkpoint_every": "50"}


def training_command(home: Path, *more: str) -> list[str]:
    given = [part for name, value in TRAINING.items() for part in ("--set", f"{name}={value}")]
    module = ["-m", "aigc_server.cli", "generator", "train", "gan", "--name", "dots", "--home", str(home)]
    return [*module, "--threads", "1", *given, *more]


def notes(home: Path) -> list[dict[str, Any]]:
    """Lines of the run's metrics.jsonl; the last may still be in writing."""
    file = home / "runs/dots/1/metrics.jsonl"
    lines = file.read_text().splitlines(keepends=True) if file.exists() else []
    return [json.loads(line) for line in lines if line.endswith("\n")]


def weights(home: Path) -> str:
    return hashlib.sha256((home / "models/dots/1/model.safetensors").read_bytes()).hexdigest()


def train_part(folder: Path) -> bool:
    """The same training under torchrun and by Ray workers, one of whose nodes is killed."""
    began = time.perf_counter()
    environment = os.environ | ENVIRONMENT
    homes = {name: folder / name for name in ("torchrun", "ray")}
    for home in homes.values():
        dot_store(home).close()
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node=2", "--standalone"]
    started = time.perf_counter()
    subprocess.run([*torchrun, *training_command(homes["torchrun"])], check=True, capture_output=True, env=environment)
    alone_s = time.perf_counter() - started
    with cluster(folder) as made, (folder / "train.log").open("wb") as log:
        made.add(cpus=2)
        second = made.add(cpus=1)
        started = time.perf_counter()
        command = training_command(homes["ray"], "--ray-workers", "2", "--ray-address", made.address)
        process = subprocess.Popen([sys.executable, *command], stdout=log, stderr=log, env=environment)
        killed = resumed = at = 0.0
        while process.poll() is None and time.perf_counter() - started < 300:
            lines = notes(homes["ray"])
            step = lines[-1]["step"] if lines else 0
            if not killed and step >= 430:
                killed, at = time.perf_counter(), step
                second.kill()
            if killed and not resumed and any("resumed" in line.get("event", "") for line in lines):
                resumed = time.perf_counter()
            time.sleep(0.02)
        ended = time.perf_counter()
        if process.poll() is None:
            process.kill()
    went_on = [line["event"] for line in notes(homes["ray"]) if "resumed" in line.get("event", "")]
    same = process.returncode == 0 and weights(homes["torchrun"]) == weights(homes["ray"])
    outcome = f"exit code {process.returncode}; model {'the same bytes' if same else 'DIFFERS'}"
    print(
        f"{TRAINING['trainer.steps']} steps: torchrun {alone_s:.1f} s, two Ray workers on two nodes "
        f"{ended - started:.1f} s with the second node killed at step {at:.0f}; "
        f"{'; '.join(went_on) or 'never resumed'} after {resumed - killed:.1f} s; {outcome}"
    )
    if not same:
        print((folder / "train.log").read_text()[-3000:])
    print(f"{'holds' if same and went_on else 'DOES NOT HOLD'}; {time.perf_counter() - began:.0f} s")
    return bool(same and went_on)


def main() -> int:
    """Run the parts that are asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", default=["serve", "replace", "freeze", "events", "train"])
    parser.add_argument("--rate", type=float, default=40.0)
    parser.add_argument("--events", type=int, default=40)
    arguments = parser.parse_args()
    holds = True
    for part in arguments.parts:
        print(f"== {part}", flush=True)
        with tempfile.TemporaryDirectory(prefix="aigc-ray-") as made:
            if part in ("serve", "replace", "freeze"):
                holds &= serve_part(Path(made), arguments.rate, part)
            elif part == "events":
                holds &= events_part(Path(made), arguments.events)
            else:
                holds &= train_part(Path(made))
    return 0 if holds else 1


if __name__ == "__main__":
    sys.exit(main())
