"""The ingress changes no answer, and passes on intact what it does not answer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from aigc.entities import Item
from aigc.v1 import admin_service_pb2 as admin
from aigc.v1 import event_pb2, event_service_pb2_grpc, recommendation_service_pb2_grpc
from aigc.v1 import event_service_pb2 as events
from aigc.v1 import recommendation_service_pb2 as pb
from aigc_server.app import App, open_platform
from aigc_server.ingress import built
from aigc_server.settings import BatchingSettings, IngressSettings, Settings
from tests.server.conftest import Client, copy_home, settings_with
from tests.server.failure import failure

pytestmark = pytest.mark.skipif(
    not built(), reason="needs the ingress (apt-get install libgrpc++-dev, then build again)"
)


class Fronts:
    """One server, asked through the ingress and behind it."""

    def __init__(self, app: App, front: grpc.aio.Channel, behind: grpc.aio.Channel) -> None:
        self.app = app
        self.front = recommendation_service_pb2_grpc.RecommendationServiceStub(front)
        self.behind = recommendation_service_pb2_grpc.RecommendationServiceStub(behind)
        self.channel = front


@pytest.fixture
async def fronts(trained_home: Path, tmp_path: Path) -> AsyncIterator[Fronts]:
    copy_home(trained_home, tmp_path / "home")
    app = App(open_platform(Settings(), tmp_path / "home"), settings_with(ingress=IngressSettings(mode="on")))
    await app.start()
    async with (
        grpc.aio.insecure_channel(f"127.0.0.1:{app.port}") as front,
        grpc.aio.insecure_channel(app.control_address) as behind,
    ):
        yield Fronts(app, front, behind)
    await app.stop()


PLAIN = (
    {},
    {"user_id": "space-fan-0"},
    {"user_id": "space-fan-1", "n": 40, "explain": True},
    {"user_id": "garden-fan-2", "strategy": "popular"},
    {"user_id": "garden-fan-3", "strategy": "collaborative", "diversity": 0.7},
    {"user_id": "garden-fan-3", "diversity": 0.0, "include_seen": True, "n": 40},
    {"user_id": "cooking-fan-1", "categories": ["music", "space"], "kinds": ["image"], "n": 9},
    {"user_id": "cooking-fan-1", "allow_item_ids": ["music-1", "garden-2", "absent"], "explain": True},
    {"user_id": "cooking-fan-1", "deny_item_ids": ["music-1", "garden-2"], "context_item_id": "garden-4"},
    {"user_id": "cooking-fan-1", "non_personalised": True},
    {"user_id": "用户", "n": 5, "explain": True},
)
LEFT = ({"user_id": "space-fan-0", "strategy": "learning"}, {"user_id": "space-fan-0", "strategy": "content"})
WRONG = (
    {"n": -1},
    {"n": 1001},
    {"user_id": "a\nb"},
    {"user_id": "\x85"},
    {"user_id": "x" * 257},
    {"strategy": "no such"},
    {"diversity": float("nan")},
    {"categories": [""]},
    {"categories": ["c"] * 10_001},
)


async def answer_of(call: grpc.aio.UnaryUnaryCall) -> bytes:
    """All of an answer but its own id."""
    answer = await call
    assert len(answer.recommendation_id) == 24
    answer.recommendation_id = ""
    return bytes(answer.SerializeToString(deterministic=True))


async def calls_seen(app: App) -> int:
    """Calls of Recommend that the ingress answered by itself."""
    await asyncio.sleep(0.25)
    assert app.ingress is not None
    return app.ingress.answered["/aigc.v1.RecommendationService/Recommend"]


@pytest.mark.parametrize("fields", PLAIN, ids=lambda f: "-".join(f) or "none")
async def test_both_fronts_give_the_same_bytes(fronts: Fronts, fields: dict[str, object]) -> None:
    request = pb.RecommendRequest(**fields)
    assert await answer_of(fronts.front.Recommend(request)) == await answer_of(fronts.behind.Recommend(request))
    assert await calls_seen(fronts.app) == 1


@pytest.mark.parametrize("fields", LEFT, ids=lambda f: str(f["strategy"]))
async def test_what_needs_python_is_passed_on(fronts: Fronts, fields: dict[str, object]) -> None:
    request = pb.RecommendRequest(**fields)
    assert await answer_of(fronts.front.Recommend(request)) == await answer_of(fronts.behind.Recommend(request))
    assert await calls_seen(fronts.app) == 0


@pytest.mark.parametrize("fields", WRONG, ids=lambda f: str(f)[:30])
async def test_both_fronts_explain_the_same_error(fronts: Fronts, fields: dict[str, object]) -> None:
    request = pb.RecommendRequest(**fields)
    front, behind = await failure(fronts.front.Recommend(request)), await failure(fronts.behind.Recommend(request))
    assert front == behind
    batch = pb.BatchRecommendRequest(requests=[pb.RecommendRequest(), request])
    assert await failure(fronts.front.BatchRecommend(batch)) == await failure(fronts.behind.BatchRecommend(batch))


async def test_a_batch_and_similar_items_are_the_same_on_both(fronts: Fronts) -> None:
    batch = pb.BatchRecommendRequest(requests=[pb.RecommendRequest(**fields) for fields in PLAIN])
    answers = []
    for stub in (fronts.front, fronts.behind):
        answer = await stub.BatchRecommend(batch)
        for response in answer.responses:
            response.recommendation_id = ""
        answers.append(answer.SerializeToString(deterministic=True))
    assert answers[0] == answers[1]
    for fields in ({"n": 7}, {"n": 40, "categories": ["music"]}, {"kinds": ["text"]}):
        similar = pb.SimilarItemsRequest(item_id="garden-3", **fields)
        assert await fronts.front.SimilarItems(similar) == await fronts.behind.SimilarItems(similar)
    for item_id in ("absent", "", "a\nb"):
        wrong = pb.SimilarItemsRequest(item_id=item_id)
        assert await failure(fronts.front.SimilarItems(wrong)) == await failure(fronts.behind.SimilarItems(wrong))


async def test_malformed_bytes_harm_nobody(fronts: Fronts) -> None:
    for method in ("Recommend", "BatchRecommend", "SimilarItems"):
        call = fronts.channel.unary_unary(f"/aigc.v1.RecommendationService/{method}")
        for raw in (b"\x0a", b"\x0a\xff\xff\xff\xff\xff", b"\xff" * 40, b"\x0a\x02\xc3\x28", b"\x52\x01", b"\x00"):
            with pytest.raises(grpc.aio.AioRpcError):
                await call(raw)
    assert (await fronts.front.Recommend(pb.RecommendRequest(n=2))).items


async def test_answers_are_logged_whoever_gave_them(fronts: Fronts) -> None:
    answer = await fronts.front.Recommend(pb.RecommendRequest(user_id="space-fan-0", n=4))
    for _ in range(100):
        logged = fronts.app.platform.store.get_recommendation(answer.recommendation_id)
        if logged is not None:
            break
        await asyncio.sleep(0.05)
    assert logged is not None
    assert (logged.user_id, logged.strategy, logged.snapshot) == ("space-fan-0", "default", answer.snapshot_id)
    assert list(logged.item_ids) == [item.item_id for item in answer.items]


async def test_a_new_snapshot_and_edited_strategies_count_at_once(client: Client, front: str) -> None:
    if front != "ingress":
        pytest.skip("of the ingress")
    platform = client.app.platform
    steps = [step async for step in client.admin.BuildSnapshot(admin.BuildSnapshotRequest())]
    answer = await client.recommendations.Recommend(pb.RecommendRequest(n=3))
    assert answer.snapshot_id == steps[-1].snapshot.id
    folder = platform.home / "strategies"
    folder.mkdir(exist_ok=True)
    (folder / "mine.toml").write_text('description = "mine"\n[[sources]]\nkind = "popular"\n')
    platform.strategies.refresh()
    assert (await client.recommendations.Recommend(pb.RecommendRequest(strategy="mine"))).strategy == "mine"


async def test_while_a_new_snapshot_comes_in_no_call_is_passed_on_and_none_is_stale(fronts: Fronts) -> None:
    live = fronts.app.platform.live
    before, refresh = live.serving.snapshot_id, live.on_swap
    during: list[pb.RecommendResponse] = []
    loop = asyncio.get_running_loop()

    def slowly() -> None:
        """The new state is published, the routes are the old ones: a call comes now."""
        call = asyncio.run_coroutine_threadsafe(answered(pb.RecommendRequest(user_id="space-fan-0", n=5)), loop)
        during.append(call.result(20))
        refresh()

    async def answered(request: pb.RecommendRequest) -> pb.RecommendResponse:
        return await fronts.front.Recommend(request)

    live.on_swap = slowly
    await asyncio.to_thread(fronts.app.platform.live.publish, before)
    assert during[0].snapshot_id == before
    assert len(during[0].items) == 5
    assert await calls_seen(fronts.app) == 1, "answered by the ingress itself"
    # What is acknowledged after the swap is in the next answer.
    gone = during[0].items[0].item_id
    event = event_pb2.Event(id="after", user_id="space-fan-0", item_id=gone, type="like")
    stub = event_service_pb2_grpc.EventServiceStub(fronts.channel)
    await stub.RecordEvents(events.RecordEventsRequest(events=[event]))
    after = await answered(pb.RecommendRequest(user_id="space-fan-0", n=5))
    assert gone not in [item.item_id for item in after.items]


async def test_calls_beyond_the_queue_are_refused_at_once_with_a_delay(trained_home: Path, tmp_path: Path) -> None:
    copy_home(trained_home, tmp_path / "home")
    ingress = IngressSettings(mode="on", events=BatchingSettings(preferred=4, maximum=4, delay_us=500_000, queue=2))
    app = App(open_platform(Settings(), tmp_path / "home"), settings_with(ingress=ingress))
    await app.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{app.port}") as channel:
        stub = event_service_pb2_grpc.EventServiceStub(channel)

        def record(i: int) -> grpc.aio.UnaryUnaryCall:
            event = event_pb2.Event(id=f"e{i}", user_id="u", item_id="garden-1", type="like")
            return stub.RecordEvents(events.RecordEventsRequest(events=[event]), timeout=5)

        calls = [record(i) for i in range(6)]
        results = await asyncio.gather(*calls, return_exceptions=True)
        refused = [c for c, r in zip(calls, results, strict=True) if isinstance(r, grpc.aio.AioRpcError)]
        assert len(refused) == 4
        for call in refused:
            got = await failure(call)
            assert got.code is grpc.StatusCode.RESOURCE_EXHAUSTED
            assert got.reason == "SERVER_BUSY"
            assert got.retry_delay is not None
            assert got.retry_delay.ToMilliseconds() > 0
        # Who leaves before the batch goes costs nothing: it is not recorded.
        gone = record(10)
        await asyncio.sleep(0.1)
        gone.cancel()
        await asyncio.sleep(0.6)
        late = await failure(
            stub.RecordEvents(
                events.RecordEventsRequest(
                    events=[event_pb2.Event(id="late", user_id="u", item_id="garden-1", type="like")]
                ),
                timeout=0.1,
            )
        )
        assert late.code is grpc.StatusCode.DEADLINE_EXCEEDED
        await asyncio.sleep(0.5)
        assert {s.event.id for s in app.platform.store.user_events("u")} == {
            f"e{i}" for i, r in enumerate(results) if not isinstance(r, BaseException)
        }
    await app.stop()


async def test_who_would_wait_too_long_for_an_answer_is_refused_at_once(trained_home: Path, tmp_path: Path) -> None:
    copy_home(trained_home, tmp_path / "home")
    ingress = IngressSettings(mode="on", threads=1, keep_mb=0, target_ms=0.001, interval_ms=0)
    app = App(open_platform(Settings(), tmp_path / "home"), settings_with(ingress=ingress))
    await app.start()
    many = pb.BatchRecommendRequest(requests=[pb.RecommendRequest(user_id=f"visitor-{i}") for i in range(1000)])
    async with grpc.aio.insecure_channel(f"127.0.0.1:{app.port}") as channel:
        stub = recommendation_service_pb2_grpc.RecommendationServiceStub(channel)
        assert len((await stub.BatchRecommend(many)).responses) == 1000, "alone nobody waits"
        calls = [stub.BatchRecommend(many) for _ in range(20)]
        results = await asyncio.gather(*calls, return_exceptions=True)
        answered = [r for r in results if isinstance(r, pb.BatchRecommendResponse)]
        assert 1 <= len(answered) < 20
        assert {len(r.responses) for r in answered} == {1000}
        for call, result in zip(calls, results, strict=True):
            if isinstance(result, grpc.aio.AioRpcError):
                got = await failure(call)
                assert (got.code, got.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "SERVER_BUSY")
                assert got.retry_delay is not None
        assert len((await stub.BatchRecommend(many)).responses) == 1000, "when they have gone nobody waits again"
    await app.stop()


async def test_metadata_and_the_peer_reach_the_control_server(fronts: Fronts) -> None:
    health = health_pb2_grpc.HealthStub(fronts.channel)
    unknown = health.Check(health_pb2.HealthCheckRequest(service="no such"))
    assert (await failure_code(unknown)) is grpc.StatusCode.NOT_FOUND
    call = fronts.channel.unary_unary("/no.such.Service/Method")
    assert (await failure_code(call(b""))) is grpc.StatusCode.UNIMPLEMENTED


async def failure_code(call: grpc.aio.Call) -> grpc.StatusCode:
    with pytest.raises(grpc.aio.AioRpcError) as error:
        await call
    return error.value.code()


async def test_clients_that_vanish_leave_nothing_behind(trained_home: Path, tmp_path: Path) -> None:
    copy_home(trained_home, tmp_path / "home")
    settings = settings_with(ingress=IngressSettings(mode="on"))
    app = App(open_platform(Settings(), tmp_path / "home"), replace(settings, log=settings.log))
    await app.start()
    for _ in range(5):
        async with grpc.aio.insecure_channel(
            f"127.0.0.1:{app.port}", options=[("grpc.use_local_subchannel_pool", 1)]
        ) as channel:
            stub = recommendation_service_pb2_grpc.RecommendationServiceStub(channel)
            health = health_pb2_grpc.HealthStub(channel)
            calls = [stub.Recommend(pb.RecommendRequest(n=20)) for _ in range(40)]
            calls += [stub.SimilarUsers(pb.SimilarUsersRequest(user_id="space-fan-0")) for _ in range(20)]
            calls += [health.Watch(health_pb2.HealthCheckRequest()) for _ in range(10)]
            await asyncio.sleep(0.01)
            for call in calls:
                call.cancel()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{app.port}") as channel:
        stub = recommendation_service_pb2_grpc.RecommendationServiceStub(channel)
        assert (await stub.Recommend(pb.RecommendRequest(n=2))).items
    await app.stop()
    assert app.ingress is not None
    assert app.ingress.waiting == 0


async def test_generated_items_come_with_their_label_on_both(fronts: Fronts) -> None:
    made = Item("made", title="space story of a model", text="space", categories=("space",), generated=True)
    await asyncio.to_thread(fronts.app.platform.catalog.upsert, [made])
    request = pb.RecommendRequest(user_id="space-fan-0", allow_item_ids=["made", "space-8"], n=5)
    answers = [await stub.Recommend(request) for stub in (fronts.front, fronts.behind)]
    for answer in answers:
        answer.recommendation_id = ""
    assert answers[0] == answers[1]
    similar = pb.SimilarItemsRequest(item_id="space-1", n=40)
    answers = [await stub.SimilarItems(similar) for stub in (fronts.front, fronts.behind)]
    assert answers[0] == answers[1]
    assert [i.label for i in answers[0].items if i.item_id == "made"] not in ([], [""])
