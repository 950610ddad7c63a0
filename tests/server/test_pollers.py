"""Of gRPC's threads as many wait for the network as there are cores for, and none of them is missed."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import grpc
import pytest

from aigc.v1 import recommendation_service_pb2 as pb
from aigc.v1 import recommendation_service_pb2_grpc
from aigc_server.app import App, open_platform
from aigc_server.ingress import built
from aigc_server.settings import IngressSettings, Settings
from tests.server.conftest import copy_home, settings_with

pytestmark = pytest.mark.skipif(
    not built(), reason="needs the ingress (apt-get install libgrpc++-dev, then build again)"
)

Stub = recommendation_service_pb2_grpc.RecommendationServiceStub


@asynccontextmanager
async def serving(trained: Path, home: Path) -> AsyncIterator[Stub]:
    copy_home(trained, home)
    app = App(open_platform(Settings(), home), settings_with(ingress=IngressSettings(mode="on")))
    await app.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{app.port}") as channel:
        yield Stub(channel)
    await asyncio.wait_for(app.stop(), 20)


async def ask(stub: Stub, times: int) -> None:
    requests = [pb.RecommendRequest(user_id=f"space-fan-{i % 5}", n=5) for i in range(times)]
    answers = await asyncio.wait_for(asyncio.gather(*(stub.Recommend(request) for request in requests)), 20)
    assert all(answer.items for answer in answers)


def turns() -> dict[str, int]:
    """How often each of gRPC's threads was given a core."""
    found = {}
    for task in Path("/proc/self/task").iterdir():
        if (task / "comm").read_text().startswith("nexting"):
            found[task.name] = int((task / "schedstat").read_text().split()[2])
    return found


@pytest.mark.skipif(not Path("/proc/self/schedstat").exists(), reason="needs Linux's figures of threads")
async def test_one_thread_waits_for_the_network_where_there_is_one_core(
    trained_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0})
    async with serving(trained_home, tmp_path / "home") as stub:
        for _ in range(10):
            await ask(stub, 50)
        before = turns()
        await ask(stub, 100)
        busy = [thread for thread, count in turns().items() if count - before.get(thread, 0) > 1]
        assert len(busy) == 1


async def test_a_server_that_stops_takes_no_thread_from_another(
    trained_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0})
    async with serving(trained_home, tmp_path / "a") as first:
        async with serving(trained_home, tmp_path / "b") as second:
            for _ in range(5):
                await ask(first, 20)
                await ask(second, 20)
        for _ in range(5):
            await ask(first, 20)
