"""Events of many callers that share a commit: each has its own answer, and nobody waits without need."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import Future
from pathlib import Path

import grpc
import pytest

from aigc.entities import Event
from aigc.errors import ResourceExhaustedError
from aigc.v1 import event_pb2, event_service_pb2_grpc
from aigc.v1 import event_service_pb2 as events
from aigc.v1 import recommendation_service_pb2 as pb
from aigc_server.app import App, open_platform
from aigc_server.ingress import built
from aigc_server.settings import BatchingSettings, IngressSettings, Settings
from tests.server.conftest import Client, copy_home, settings_with
from tests.server.failure import failure

needs_ingress = pytest.mark.skipif(
    not built(), reason="needs the ingress (apt-get install libgrpc++-dev, then build again)"
)


def event(name: str, **fields: object) -> event_pb2.Event:
    return event_pb2.Event(**({"id": name, "user_id": "u", "item_id": "garden-1", "type": "like"} | fields))


def request(*made: event_pb2.Event) -> events.RecordEventsRequest:
    return events.RecordEventsRequest(events=made)


class Recorder:
    """An ingress with its own batching."""

    def __init__(self, app: App, channel: grpc.aio.Channel) -> None:
        self.app = app
        self.record = event_service_pb2_grpc.EventServiceStub(channel).RecordEvents

    def stored(self, user: str = "u") -> set[str]:
        return {s.event.id for s in self.app.platform.store.user_events(user)}


@pytest.fixture
def batching() -> BatchingSettings:
    """Twenty calls go together."""
    return BatchingSettings(preferred=20, maximum=64, delay_us=2_000_000)


@pytest.fixture
async def recorder(trained_home: Path, tmp_path: Path, batching: BatchingSettings) -> AsyncIterator[Recorder]:
    copy_home(trained_home, tmp_path / "home")
    ingress = IngressSettings(mode="on", events=batching)
    app = App(open_platform(Settings(), tmp_path / "home"), settings_with(ingress=ingress))
    await app.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{app.port}") as channel:
        yield Recorder(app, channel)
    await app.stop()


@needs_ingress
async def test_each_call_of_a_batch_has_its_own_answer_and_a_bad_one_fails_alone(recorder: Recorder) -> None:
    groups: list[int] = []
    recorder.app.platform.store.listen_to_commits(lambda rows, _: groups.append(rows))
    sent = [request(*(event(f"e{i}-{n}") for n in range(i % 3 + 1))) for i in range(17)]
    sent[3] = request(event("twice"), event("twice"), event("twice"))
    good = [recorder.record(r) for r in sent]
    unknown = recorder.record(request(event("x"), event("y", type="stare")))
    late = recorder.record(request(event("z", event_time={"seconds": 300_000_000_000})))
    empty = recorder.record(request())
    for i, answer in enumerate(await asyncio.gather(*good)):
        expected = (1, 2) if i == 3 else (i % 3 + 1, 0)
        assert (answer.accepted_count, answer.duplicate_count) == expected
    assert (await empty) == events.RecordEventsResponse()
    for call, field, reason in (
        (unknown, "events[1].type", "UNKNOWN_EVENT_TYPE"),
        (late, "events[0].event_time", "INVALID_INPUT"),
    ):
        got = await failure(call)
        assert (got.code, got.field, got.reason) == (grpc.StatusCode.INVALID_ARGUMENT, field, reason)
    assert recorder.stored() == {e.id for r in sent for e in r.events}
    assert groups == [sum(len(r.events) for r in sent)], "one commit"


@needs_ingress
async def test_what_the_store_cannot_do_is_told_to_each_call_of_the_batch(
    recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = recorder.app.platform.store

    def full(_entries: Sequence[Event]) -> Future[list[bool]]:
        failed: Future[list[bool]] = Future()
        failed.set_exception(ResourceExhaustedError("full", reason="DISK_FULL", retry_delay_ms=1000))
        return failed

    monkeypatch.setattr(store, "submit_events", full)
    calls = [recorder.record(request(event(f"e{i}"))) for i in range(19)]
    wrong = recorder.record(request(event("w", type="stare")))
    for call in calls:
        got = await failure(call)
        assert (got.code, got.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "DISK_FULL")
        assert got.retry_delay is not None
        assert got.retry_delay.ToMilliseconds() == 1000
    assert (await failure(wrong)).code is grpc.StatusCode.INVALID_ARGUMENT
    monkeypatch.undo()
    assert recorder.stored() == set()
    answers = await asyncio.gather(*(recorder.record(request(event(f"e{i}"))) for i in range(20)))
    assert sum(a.accepted_count for a in answers) == 20


@needs_ingress
async def test_what_nobody_expected_is_logged_and_not_told(recorder: Recorder, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_entries: Sequence[Event]) -> Future[list[bool]]:
        failed: Future[list[bool]] = Future()
        failed.set_exception(RuntimeError("a secret of the inside"))
        return failed

    monkeypatch.setattr(recorder.app.platform.store, "submit_events", broken)
    for call in [recorder.record(request(event(f"e{i}"))) for i in range(20)]:
        got = await failure(call)
        assert (got.code, got.reason) == (grpc.StatusCode.INTERNAL, "INTERNAL")
        assert "secret" not in got.message


@needs_ingress
@pytest.mark.parametrize("batching", [BatchingSettings(maximum=64, delay_us=1_000_000)])
async def test_who_is_alone_never_waits_for_company(recorder: Recorder) -> None:
    began = time.perf_counter()
    for i in range(10):
        await recorder.record(request(event(f"e{i}")))
    assert time.perf_counter() - began < 5, "one wait would be a second"


@needs_ingress
@pytest.mark.parametrize("batching", [BatchingSettings(maximum=8, delay_us=1000)])
async def test_what_was_accepted_is_answered_when_the_server_ends(
    recorder: Recorder, batching: BatchingSettings
) -> None:
    calls = [recorder.record(request(event(f"e{i}"))) for i in range(100)]
    await calls[0]
    await recorder.app.stop()
    told = await asyncio.gather(*calls, return_exceptions=True)
    acknowledged = {f"e{i}" for i, answer in enumerate(told) if not isinstance(answer, BaseException)}
    for answer in told:
        assert not isinstance(answer, grpc.aio.AioRpcError) or answer.code() is grpc.StatusCode.UNAVAILABLE
    again = open_platform(Settings(), recorder.app.platform.home)
    assert {s.event.id for s in again.store.user_events("u")} >= acknowledged
    again.close()


async def batches(n: int, size: int, wrong: int = -1) -> AsyncIterator[events.StreamEventsRequest]:
    for batch in range(n):
        kind = "stare" if batch == wrong else "view"
        yield events.StreamEventsRequest(
            events=[event(f"{batch}-{i}", user_id="s", item_id="music-1", type=kind) for i in range(size)]
        )


async def test_a_wrong_batch_ends_the_stream_after_those_before_it_are_acknowledged(client: Client) -> None:
    told = {}
    with pytest.raises(grpc.aio.AioRpcError, match="stare") as error:
        async for answer in client.events.StreamEvents(batches(40, 5, wrong=30)):
            told[answer.batch_index] = answer.accepted_count
    assert error.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert list(told.items()) == [(i, 5) for i in range(30)]
    assert len(client.app.platform.store.user_events("s")) == 150


async def test_a_stream_that_fills_the_queue_of_writes_waits_for_itself(client: Client) -> None:
    writer = client.app.platform.store._writer
    assert writer is not None
    writer._capacity = 70
    told = [(a.batch_index, a.accepted_count) async for a in client.events.StreamEvents(batches(60, 50))]
    assert told == [(i, 50) for i in range(60)]


async def test_an_acknowledged_batch_counts_in_the_next_answer(client: Client) -> None:
    ask = pb.RecommendRequest(user_id="space-fan-0", n=5)
    for round_number in range(3):
        best = (await client.recommendations.Recommend(ask)).items[0].item_id
        made = [event(f"{round_number}", user_id="space-fan-0", item_id=best)]
        stream = client.events.StreamEvents(iter([events.StreamEventsRequest(events=made)]))
        async for answer in stream:
            assert answer.accepted_count == 1
            seen = await client.recommendations.Recommend(ask)
            assert best not in [i.item_id for i in seen.items]


async def test_who_leaves_a_stream_leaves_nothing_behind(client: Client) -> None:
    async def endless() -> AsyncIterator[events.StreamEventsRequest]:
        n = 0
        while True:
            yield events.StreamEventsRequest(events=[event(f"{n}", user_id="s")])
            n += 1

    call = client.events.StreamEvents(endless())
    acknowledged = 0
    async for answer in call:
        acknowledged += answer.accepted_count
        if acknowledged == 50:
            break
    call.cancel()
    assert len(client.app.platform.store.user_events("s")) >= 50
    deadline = time.perf_counter() + 20
    while any("EventServicer._read" in repr(task.get_coro()) for task in asyncio.all_tasks()):
        assert time.perf_counter() < deadline, "what read ahead still waits"
        await asyncio.sleep(0.02)
    assert (await client.events.RecordEvents(request(event("after")))).accepted_count == 1
