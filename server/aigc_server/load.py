"""Load on a server by asyncio: a closed loop of callers that wait, or an open loop at a rate."""

from __future__ import annotations

import asyncio
import itertools
import math
import secrets
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import grpc
import numpy as np
from grpc_health.v1 import health_pb2, health_pb2_grpc

from aigc.errors import InvalidInputError, UnavailableError
from aigc.v1 import (
    event_pb2,
    event_service_pb2,
    event_service_pb2_grpc,
    generation_service_pb2,
    generation_service_pb2_grpc,
    recommendation_service_pb2,
    recommendation_service_pb2_grpc,
)

__all__ = ["CALLS", "Load", "Measured", "put_load"]

_CALL_S = 60.0
# An open loop that the server cannot keep up with ends here instead of in the memory of the caller.
_MOST_OPEN = 20_000

Call = Callable[[int], Awaitable[Any]]


@dataclass(frozen=True, slots=True)
class Load:
    """What is put on a server.

    Attributes:
        rpc: One of :data:`CALLS`.
        users: Callers of a closed loop.
        rate: Calls a second of an open loop; 0 for a closed one.
        seconds: That count.
        warm_up: Seconds before, which do not.
        user_ids: Who is asked for, in turns; those of ``make load``'s world when empty.
        n: Items wanted, or users of a batch.
        model: Of generation.
    """

    rpc: str = "recommend"
    users: int = 8
    rate: float = 0.0
    seconds: float = 5.0
    warm_up: float = 0.5
    user_ids: tuple[str, ...] = ()
    n: int = 20
    model: str = ""

    def __post_init__(self) -> None:
        """Refuse values without a meaning."""
        if self.rpc not in CALLS:
            raise InvalidInputError(f"rpc is {self.rpc!r}; give one of {', '.join(sorted(CALLS))}", field="rpc")
        for name, least in (("users", 1), ("n", 1), ("rate", 0), ("warm_up", 0)):
            value = getattr(self, name)
            if not (math.isfinite(value) and value >= least):
                raise InvalidInputError(f"{name} is {value}; give at least {least}", field=name)
        if not (math.isfinite(self.seconds) and self.seconds > 0):
            raise InvalidInputError(f"seconds is {self.seconds}; give more than 0", field="seconds")


@dataclass(slots=True)
class Measured:
    """What came of it.

    Attributes:
        load: What was put.
        seconds: That counted.
        latencies_ms: Of the calls that were answered, from when they were due: in an open loop a call that the client
            sent late is not forgiven the delay (Tene's coordinated omission).
        errors: Code and reason → how many.
    """

    load: Load
    seconds: float = 0.0
    latencies_ms: list[float] = field(default_factory=list)
    errors: Counter[str] = field(default_factory=Counter)

    def fields(self) -> dict[str, Any]:
        """For JSON."""
        at = np.percentile(self.latencies_ms, [50, 90, 99, 100]) if self.latencies_ms else [math.nan] * 4
        return {
            "rpc": self.load.rpc,
            "users": self.load.users if not self.load.rate else None,
            "rate": self.load.rate or None,
            "seconds": round(self.seconds, 3),
            "calls": len(self.latencies_ms),
            "requests_per_second": round(len(self.latencies_ms) / self.seconds, 1) if self.seconds else 0.0,
            **{
                f"{name}_ms": None if math.isnan(value) else round(float(value), 3)
                for name, value in zip(("p50", "p90", "p99", "max"), at, strict=True)
            },
            "errors": dict(self.errors),
        }

    def text(self) -> str:
        """For a person."""
        told = self.fields()
        how = f"{self.load.rate:g} calls/s, open loop" if self.load.rate else f"{self.load.users} callers, closed loop"
        lines = [
            f"{self.load.rpc}: {how}, {told['seconds']:g} s",
            f"  {told['requests_per_second']:,} requests/s, {told['calls']:,} answered",
            f"  p50 {told['p50_ms']} ms, p90 {told['p90_ms']} ms, p99 {told['p99_ms']} ms, longest {told['max_ms']} ms",
        ]
        lines += [f"  failed: {count:,} × {what}" for what, count in self.errors.most_common()]
        return "\n".join(lines)


async def put_load(address: str, load: Load, connect_s: float = 5.0) -> Measured:
    """Call the server at ``address``, which has ``connect_s`` seconds to be found.

    Raises:
        UnavailableError: Nothing answers there.
    """
    async with grpc.aio.insecure_channel(address) as channel:
        try:
            async with asyncio.timeout(connect_s):
                await channel.channel_ready()
        except TimeoutError:
            raise UnavailableError(f"no server answers at {address}; start one with `aigc serve`") from None
        call = CALLS[load.rpc](channel, load)
        measured = Measured(load)
        begin = time.perf_counter() + load.warm_up
        end = begin + load.seconds
        await (_open(call, load, measured, begin, end) if load.rate else _closed(call, load, measured, begin, end))
        measured.seconds = max(time.perf_counter(), end) - begin
    return measured


async def _closed(call: Call, load: Load, measured: Measured, begin: float, end: float) -> None:
    numbers = itertools.count()

    async def caller() -> None:
        while (due := time.perf_counter()) < end:
            await _one(call, next(numbers), due, measured, begin)

    await asyncio.gather(*(caller() for _ in range(load.users)))


async def _open(call: Call, load: Load, measured: Measured, begin: float, end: float) -> None:
    running: set[asyncio.Task[None]] = set()
    started = time.perf_counter()
    for number in itertools.count():
        due = started + number / load.rate
        if due >= end:
            break
        if (ahead := due - time.perf_counter()) > 0:
            await asyncio.sleep(ahead)
        if len(running) >= _MOST_OPEN:
            measured.errors["NOT_SENT: as many calls wait as the client holds; give a lower --rate"] += 1
            continue
        task = asyncio.create_task(_one(call, number, due, measured, begin))
        running.add(task)
        task.add_done_callback(running.discard)
    await asyncio.gather(*running)


async def _one(call: Call, number: int, due: float, measured: Measured, begin: float) -> None:
    try:
        await call(number)
    except grpc.aio.AioRpcError as error:
        measured.errors[f"{error.code().name}: {error.details()}"[:200]] += 1
        # A server that refuses is not to be asked again within the same microsecond.
        await asyncio.sleep(0.001)
        return
    if due >= begin:
        measured.latencies_ms.append((time.perf_counter() - due) * 1000)


def _users(load: Load) -> tuple[str, ...]:
    return load.user_ids or tuple(f"user-{i}" for i in range(400))


def _recommend(channel: grpc.aio.Channel, load: Load) -> Call:
    stub: Any = recommendation_service_pb2_grpc.RecommendationServiceStub(channel)
    users = _users(load)
    requests = [recommendation_service_pb2.RecommendRequest(user_id=user, n=load.n) for user in users]
    return lambda number: stub.Recommend(requests[number % len(requests)], timeout=_CALL_S)


def _batch(channel: grpc.aio.Channel, load: Load) -> Call:
    stub: Any = recommendation_service_pb2_grpc.RecommendationServiceStub(channel)
    users = itertools.cycle(_users(load))
    requests = [
        recommendation_service_pb2.RecommendRequest(user_id=user, n=20) for user in itertools.islice(users, load.n)
    ]
    batch = recommendation_service_pb2.BatchRecommendRequest(requests=requests)
    return lambda _: stub.BatchRecommend(batch, timeout=_CALL_S)


def _record(channel: grpc.aio.Channel, load: Load) -> Call:
    del load
    stub: Any = event_service_pb2_grpc.EventServiceStub(channel)
    run = secrets.token_hex(4)
    now = event_pb2.Event().event_time
    now.GetCurrentTime()

    def call(number: int) -> Awaitable[Any]:
        event = event_pb2.Event(
            id=f"{run}-{number}", user_id=f"load-{number % 1000}", item_id="load", type="view", event_time=now
        )
        return stub.RecordEvents(event_service_pb2.RecordEventsRequest(events=[event]), timeout=_CALL_S)  # type: ignore[no-any-return]

    return call


def _text(channel: grpc.aio.Channel, load: Load) -> Call:
    stub: Any = generation_service_pb2_grpc.GenerationServiceStub(channel)

    async def call(number: int) -> None:
        request = generation_service_pb2.GenerateTextRequest(model=load.model, prompt="A", max_tokens=32, seed=number)
        async for _ in stub.GenerateText(request, timeout=_CALL_S):
            pass

    return call


def _images(channel: grpc.aio.Channel, load: Load) -> Call:
    stub: Any = generation_service_pb2_grpc.GenerationServiceStub(channel)
    return lambda number: stub.GenerateImages(
        generation_service_pb2.GenerateImagesRequest(model=load.model, seeds=[number]), timeout=_CALL_S
    )


def _health(channel: grpc.aio.Channel, load: Load) -> Call:
    del load
    stub: Any = health_pb2_grpc.HealthStub(channel)
    return lambda _: stub.Check(health_pb2.HealthCheckRequest(), timeout=_CALL_S)


CALLS: Mapping[str, Callable[[grpc.aio.Channel, Load], Call]] = {
    "recommend": _recommend,
    "batch_recommend": _batch,
    "record_events": _record,
    "generate_text": _text,
    "generate_images": _images,
    "health": _health,
}
"""What can be called."""
