"""Generation between requests, by a real server with a real generator process."""

from __future__ import annotations

import asyncio
import json
import queue
import urllib.request
from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc
import pytest
from click.testing import CliRunner

from aigc.services.background_options import BackgroundOptions
from aigc.services.generation_limits import GenerationLimits
from aigc.v1 import (
    creation_pb2,
    creation_service_pb2,
    creation_service_pb2_grpc,
    event_pb2,
    event_service_pb2,
    event_service_pb2_grpc,
)
from aigc_server.app import App, open_platform
from aigc_server.cli import cli
from aigc_server.settings import ServerSettings, Settings
from tests.services.stroke_home import THIN, make_stroke_home

PATIENCE_S = 120


@pytest.fixture
def home(tmp_path: Path) -> Path:
    made = tmp_path / "home"
    make_stroke_home(made)
    (made / "strategies").mkdir()
    (made / "strategies" / "default.toml").write_text(THIN)
    return made


def made_app(home: Path) -> tuple[App, queue.Queue[float]]:
    """A server, and a queue that hears of every round."""
    settings = replace(
        Settings(),
        server=ServerSettings(listen="127.0.0.1:0", metrics_listen="127.0.0.1:0", drain_ms=2000),
        generation=GenerationLimits(niceness=0, restart_ms=0),
        creation=BackgroundOptions(background=True, interval_ms=20),
    )
    app = App(open_platform(settings, home), settings)
    rounds: queue.Queue[float] = queue.Queue()
    step = app.platform.background.step

    def heard() -> float:
        pause = step()
        rounds.put(pause)
        return pause

    app.platform.background.step = heard  # type: ignore[method-assign]
    return app, rounds


async def record_likes(channel: grpc.aio.Channel, user: str) -> None:
    stub: Any = event_service_pb2_grpc.EventServiceStub(channel)
    events = [event_pb2.Event(id=f"{user}-{i}", user_id=user, item_id=f"stroke-{i}", type="like") for i in range(4)]
    await stub.RecordEvents(event_service_pb2.RecordEventsRequest(events=events), timeout=PATIENCE_S)


async def test_a_server_fills_the_gap_of_an_active_user_and_tells_of_it(home: Path) -> None:
    app, rounds = made_app(home)
    await app.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{app.port}") as channel:
        await record_likes(channel, "ann")
        stub: Any = creation_service_pb2_grpc.CreationServiceStub(channel)
        status = creation_service_pb2.GetBackgroundStatusResponse()
        while status.admitted < 2:
            await asyncio.to_thread(rounds.get, timeout=PATIENCE_S)
            status = await stub.GetBackgroundStatus(creation_service_pb2.GetBackgroundStatusRequest())
        listed = await stub.ListCreations(
            creation_service_pb2.ListCreationsRequest(user_id="ann", state=creation_pb2.CREATION_STATE_ADMITTED)
        )
        assert len(listed.creations) == 2
        assert (status.active_users, status.items_left) == (1, 58)
        words = ["creations", "background", "--server", f"127.0.0.1:{app.port}"]
        told = await asyncio.to_thread(CliRunner().invoke, cli, words)
        assert "items    2 admitted" in told.output
        told = await asyncio.to_thread(CliRunner().invoke, cli, [*words, "--json"])
        # The server's log comes before: it runs in this process.
        assert json.loads(told.output[told.output.index("{\n") :])["admitted"] == "2"
        page = await asyncio.to_thread(_read, f"http://127.0.0.1:{app.metrics_port}/metrics")
        assert "aigc_background_admitted_total 2.0" in page
        assert "aigc_background_attempts_total 1.0" in page
    await app.stop()
    assert app.platform.background.status().state == "off"


async def test_a_server_that_ends_does_not_wait_for_a_generator_that_does_not_come(home: Path) -> None:
    app, _ = made_app(home)
    asked = asyncio.Event()

    async def never() -> grpc.aio.Channel:
        asked.set()
        await asyncio.Event().wait()
        raise AssertionError

    app.generator.connect = never  # type: ignore[method-assign]
    app.generator.start = lambda: None  # type: ignore[method-assign]
    await app.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{app.port}") as channel:
        await record_likes(channel, "ann")
    async with asyncio.timeout(PATIENCE_S):
        await asked.wait()
    async with asyncio.timeout(30):
        await app.stop()


def _read(address: str) -> str:
    with urllib.request.urlopen(address) as response:
        return str(response.read().decode())
