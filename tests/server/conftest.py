"""A real server in this process on a port that the system chooses, over a small trained catalogue."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path

import grpc
import pytest

from aigc.entities import Event, Item
from aigc.v1 import (
    admin_service_pb2_grpc,
    catalog_service_pb2_grpc,
    event_service_pb2_grpc,
    profile_service_pb2_grpc,
    recommendation_service_pb2_grpc,
)
from aigc_server.app import App, open_platform
from aigc_server.ingress import built
from aigc_server.settings import IngressSettings, ServerSettings, Settings

TOPICS = ("space", "cooking", "garden", "music")
DAY_MS = 86_400_000
START_MS = 1_760_000_000_000


def small_catalogue() -> list[Item]:
    """Ten items a topic; the words of a topic are its own."""
    return [
        Item(
            id=f"{topic}-{i}",
            kind="text" if i % 2 else "image",
            title=f"{topic} story {i}",
            text=f"{topic} {topic}craft {topic}land",
            categories=(topic,),
            created_ms=START_MS + i * DAY_MS,
        )
        for topic in TOPICS
        for i in range(10)
    ]


def small_behaviour() -> list[Event]:
    """Five users a topic, each liking six of its items."""
    return [
        Event(
            f"{topic}-{u}-{i}", f"{topic}-fan-{u}", f"{topic}-{(u + i) % 10}", "like", START_MS + (u * 10 + i) * 60_000
        )
        for topic in TOPICS
        for u in range(5)
        for i in range(6)
    ]


class Client:
    """Stubs of all services on one channel."""

    def __init__(self, channel: grpc.aio.Channel, app: App) -> None:
        self.channel = channel
        self.app = app
        self.catalog = catalog_service_pb2_grpc.CatalogServiceStub(channel)
        self.events = event_service_pb2_grpc.EventServiceStub(channel)
        self.profiles = profile_service_pb2_grpc.ProfileServiceStub(channel)
        self.recommendations = recommendation_service_pb2_grpc.RecommendationServiceStub(channel)
        self.admin = admin_service_pb2_grpc.AdminServiceStub(channel)


FRONTS = ("control", "ingress")
_front = "control"


def settings_with(**server: object) -> Settings:
    ingress = IngressSettings(mode="on" if _front == "ingress" else "off")
    return replace(
        Settings(), server=replace(ServerSettings(listen="127.0.0.1:0", drain_ms=5000, ingress=ingress), **server)
    )


@pytest.fixture(params=FRONTS)
def front(request: pytest.FixtureRequest) -> Iterator[str]:
    """Which front owns the port of :func:`settings_with`; the promises hold on both."""
    global _front
    if request.param == "ingress" and not built():
        pytest.skip("needs the ingress (apt-get install libgrpc++-dev, then build again)")
    _front = request.param
    yield request.param
    _front = "control"


@pytest.fixture(scope="session")
def trained_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory with the small catalogue, trained; tests copy it."""
    home = tmp_path_factory.mktemp("trained")
    platform = open_platform(Settings(), home)
    platform.catalog.upsert(small_catalogue())
    platform.behaviour.record(small_behaviour())
    assert [step.snapshot_id for step in platform.build()][-1]
    platform.close()
    return home


@pytest.fixture
async def client(front: str, trained_home: Path, tmp_path: Path) -> AsyncIterator[Client]:
    home = tmp_path / "home"
    await asyncio.to_thread(copy_home, trained_home, home)
    app = App(open_platform(Settings(), home), settings_with())
    await app.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{app.port}") as channel:
        yield Client(channel, app)
    await app.stop()


def copy_home(source: Path, target: Path) -> None:
    import shutil

    shutil.copytree(source, target)
