"""A server that ends while texts are being written: each is whole, or its caller is told why it is not."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc
import pytest

from aigc.errors import UnavailableError
from aigc.services.generation_limits import GenerationLimits
from aigc.v1 import event_pb2, event_service_pb2_grpc, generation_service_pb2_grpc
from aigc.v1 import event_service_pb2 as events
from aigc.v1 import generation_service_pb2 as pb
from aigc_server.app import App, open_platform
from aigc_server.interceptors.open_calls import OpenCalls
from tests.server.conftest import settings_with
from tests.server.failure import failure
from tests.server.generation import add_small_models

PATIENCE_S = 60


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("ending")
    add_small_models(made)
    return made


@pytest.fixture
def home(models: Path, tmp_path: Path) -> Path:
    shutil.copytree(models, tmp_path / "home")
    return tmp_path / "home"


@asynccontextmanager
async def serving(home: Path, drain_ms: int = 20_000) -> AsyncIterator[tuple[App, grpc.aio.Channel]]:
    """A server that whoever uses it ends."""
    settings = replace(settings_with(drain_ms=drain_ms), generation=GenerationLimits(niceness=0, restart_ms=0))
    app = App(open_platform(settings, home), settings)
    await app.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{app.port}") as channel:
        yield app, channel


def writing(channel: grpc.aio.Channel) -> Any:
    request = pb.GenerateTextRequest(model="writer", prompt="春眠", max_tokens=110, n=4, seed=7)
    return generation_service_pb2_grpc.GenerationServiceStub(channel).GenerateText(request, timeout=PATIENCE_S)


async def rest_of(call: Any) -> list[pb.GenerateTextResponse]:
    pieces = []
    while (piece := await call.read()) is not grpc.aio.EOF:
        pieces.append(piece)
    return pieces


def texts_of(pieces: list[pb.GenerateTextResponse]) -> dict[int, tuple[str, int, int]]:
    """Index → text, reason to end, tokens told."""
    found = {}
    for i in {piece.index for piece in pieces}:
        own = [piece for piece in pieces if piece.index == i]
        found[i] = "".join(piece.text for piece in own), own[-1].finish_reason, own[-1].completion_tokens
    return found


@pytest.mark.usefixtures("front")
async def test_a_text_begun_before_the_end_is_whole(home: Path) -> None:
    async with serving(home) as (app, channel):
        wanted = texts_of(await rest_of(writing(channel)))
        calls = [writing(channel) for _ in range(4)]
        begun = [await call.read() for call in calls]
        ending = asyncio.create_task(app.stop())
        for first, call in zip(begun, calls, strict=True):
            assert texts_of([first, *await rest_of(call)]) == wanted
        await ending


@pytest.mark.usefixtures("front")
async def test_a_text_that_takes_longer_than_the_drain_ends_with_the_reason(home: Path) -> None:
    async with serving(home, drain_ms=200) as (app, channel):
        call = writing(channel)
        assert await call.read()
        generator = app.generator.pid
        os.kill(generator, signal.SIGSTOP)
        try:
            waiting = writing(channel)
            told = [asyncio.create_task(failure(rest_of(c))) for c in (call, waiting)]
            # It has been sent when it is in work.
            while app.admission.inside < 2:
                await asyncio.sleep(0)
            ending = asyncio.create_task(app.stop())
            for failed in await asyncio.gather(*told):
                assert (failed.code, failed.reason) == (grpc.StatusCode.UNAVAILABLE, "SERVER_ENDING")
        finally:
            os.kill(generator, signal.SIGCONT)
        await ending


@pytest.mark.usefixtures("front")
async def test_an_idle_stream_of_events_is_told_that_the_server_ends(tmp_path: Path) -> None:
    async with serving(tmp_path / "home", drain_ms=200) as (app, channel):
        call = event_service_pb2_grpc.EventServiceStub(channel).StreamEvents(timeout=PATIENCE_S)
        event = event_pb2.Event(id="one", user_id="u", item_id="i", type="view")
        await call.write(events.StreamEventsRequest(events=[event]))
        assert (await call.read()).accepted_count == 1
        ending = asyncio.create_task(app.stop())
        failed = await failure(call.read())
        assert (failed.code, failed.reason) == (grpc.StatusCode.UNAVAILABLE, "SERVER_ENDING")
        await ending


async def test_a_signal_to_all_processes_leaves_the_generator_to_its_server(home: Path) -> None:
    async with serving(home) as (app, channel):
        wanted = texts_of(await rest_of(writing(channel)))
        for number in (signal.SIGTERM, signal.SIGINT):
            call = writing(channel)
            first = await call.read()
            os.kill(app.generator.pid, number)
            assert texts_of([first, *await rest_of(call)]) == wanted
        # Whoever dies of a signal has done so before the next text is there.
        assert texts_of(await rest_of(writing(channel))) == wanted
        assert app.generator.starts == 1
        await app.stop()


async def test_a_message_on_its_way_is_sent_before_the_call_is_told() -> None:
    calls, sent = OpenCalls(), asyncio.Event()

    async def sends() -> None:
        async with calls.call() as call:
            with call.sending():
                calls.end()
                await asyncio.sleep(0)
                sent.set()

    with pytest.raises(UnavailableError) as told:
        await sends()
    assert told.value.reason == "SERVER_ENDING"
    assert sent.is_set()


async def test_a_deadline_of_a_calls_own_stays_one() -> None:
    calls = OpenCalls()
    with pytest.raises(TimeoutError):
        async with calls.call(), asyncio.timeout(0):
            await asyncio.Event().wait()


async def test_a_call_about_to_send_is_interrupted_before_it_does() -> None:
    """Whoever ends calls a turn of the loop after asking may hit the message in between."""
    calls, awake, sent = OpenCalls(), asyncio.Event(), False

    async def sends() -> None:
        nonlocal sent
        async with calls.call() as call:
            await awake.wait()
            with call.sending():
                sent = True

    task = asyncio.create_task(sends())
    await asyncio.sleep(0)
    awake.set()
    calls.end()
    with pytest.raises(UnavailableError):
        await task
    assert not sent


async def test_a_caller_who_left_is_not_taken_for_the_end() -> None:
    calls = OpenCalls()

    async def waits() -> None:
        async with calls.call():
            await asyncio.Event().wait()

    task = asyncio.create_task(waits())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
