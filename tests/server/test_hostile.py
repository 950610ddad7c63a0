"""Callers that vanish, speak nonsense or do not read cost the others nothing."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import grpc
import psutil
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from aigc.v1 import event_pb2
from aigc.v1 import event_service_pb2 as events
from aigc.v1 import recommendation_service_pb2 as pb
from aigc_server.app import App, open_platform
from aigc_server.settings import Settings
from tests.faults import hostile
from tests.server.conftest import Client, copy_home, settings_with
from tests.server.failure import failure

pytestmark = pytest.mark.usefixtures("front")

PATIENCE_S = 20


async def serves(client: Client) -> None:
    answer = await client.recommendations.Recommend(pb.RecommendRequest(user_id="space-fan-0", n=5), timeout=PATIENCE_S)
    assert len(answer.items) == 5


async def until_no_more_fds_than(count: int) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while (held := psutil.Process().num_fds()) > count:
        assert time.monotonic() < deadline, (held, count)
        await asyncio.sleep(0.02)


@pytest.mark.parametrize("way", hostile.VANISHING, ids=lambda way: way.__name__.strip("_"))
async def test_clients_that_vanish_leave_nothing_behind(
    client: Client, way: hostile.Way, monkeypatch: pytest.MonkeyPatch
) -> None:
    await serves(client)
    before = psutil.Process().num_fds()
    monkeypatch.setattr(hostile, "VANISHING", (way,))
    done = await asyncio.to_thread(hostile.vanish, ("127.0.0.1", client.app.port), 60, threads=8)
    assert done["ConnectionRefusedError"] == 0
    await serves(client)
    # gRPC keeps a few of its own for work that has begun meanwhile.
    await until_no_more_fds_than(before + 12)


async def test_nonsense_is_refused_and_others_are_served(client: Client) -> None:
    address = "127.0.0.1", client.app.port
    for what in hostile.MALFORMED.values():
        await asyncio.to_thread(hostile.malform, address, what, patience_s=0.005)
    await serves(client)


async def test_callers_that_neither_read_nor_finish_delay_nobody(client: Client) -> None:
    address = "127.0.0.1", client.app.port
    held = await asyncio.to_thread(hostile.slow_readers, address, 4, 20)
    held += await asyncio.to_thread(hostile.slow_senders, address, 20)
    try:
        await serves(client)
    finally:
        for sock in held:
            sock.close()


@pytest.mark.parametrize(
    "method",
    [
        "RecommendationService/Recommend",
        "RecommendationService/BatchRecommend",
        "RecommendationService/SimilarItems",
        "RecommendationService/Search",
        "EventService/RecordEvents",
    ],
)
async def test_bytes_that_are_no_message_are_the_callers_error(client: Client, method: str) -> None:
    got = await failure(client.channel.unary_unary(f"/aigc.v1.{method}")(b"\x0a\xff\xff\xff\xff\x07x"))
    assert got.code is grpc.StatusCode.INVALID_ARGUMENT
    assert got.reason == "MALFORMED_REQUEST"


async def test_a_stream_with_bytes_that_are_no_message_ends_after_what_was_one(client: Client) -> None:
    event = event_pb2.Event(id="before", user_id="space-fan-0", item_id="space-1", type="view")
    batches = [events.StreamEventsRequest(events=[event]).SerializeToString(), b"\x0a\xff\xff\xff\xff\x07x"]
    call = client.channel.stream_stream("/aigc.v1.EventService/StreamEvents")(_sent(batches))
    assert events.StreamEventsResponse.FromString(await call.read()).accepted_count == 1
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call.read()
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT


async def _sent(batches: list[bytes]) -> AsyncIterator[bytes]:
    for batch in batches:
        yield batch


async def test_a_message_over_the_limit_is_refused(trained_home: Path, tmp_path: Path) -> None:
    copy_home(trained_home, tmp_path / "home")
    app = App(open_platform(Settings(), tmp_path / "home"), settings_with(max_message_bytes=100_000))
    await app.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{app.port}") as channel:
        client = Client(channel, app)
        for call in (
            client.recommendations.Recommend(pb.RecommendRequest(deny_item_ids=["x" * 100] * 2000)),
            client.recommendations.Search(pb.SearchRequest(text="x" * 200_000)),
            client.events.RecordEvents(
                events.RecordEventsRequest(events=[event_pb2.Event(user_id="u", item_id="x" * 200_000, type="view")])
            ),
        ):
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await call
            assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        await serves(client)
    await app.stop()


async def test_a_drain_with_watchers_that_do_not_read_is_short(trained_home: Path, tmp_path: Path) -> None:
    copy_home(trained_home, tmp_path / "home")
    settings = replace(Settings(), server=settings_with().server)
    app = App(open_platform(Settings(), tmp_path / "home"), settings)
    await app.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{app.port}") as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        watch = stub.Watch(health_pb2.HealthCheckRequest())
        assert (await watch.read()).status == 1
        app.leave()
        assert (await watch.read()).status == 2
        # Calls are accepted until the port closes.
        await serves(Client(channel, app))
        assert (await stub.Check(health_pb2.HealthCheckRequest())).status == 2
        began = time.monotonic()
        stopping = asyncio.create_task(app.stop())
        assert await watch.read() is grpc.aio.EOF
        await stopping
        assert time.monotonic() - began < settings.server.drain_ms / 1000 / 2
