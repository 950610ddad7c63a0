"""Who asks the same again gets the same answer, until something happened that could change it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import grpc
import pytest
from google.protobuf.field_mask_pb2 import FieldMask

from aigc.errors import InvalidInputError
from aigc.v1 import admin_service_pb2 as admin
from aigc.v1 import catalog_service_pb2 as catalog
from aigc.v1 import event_pb2, profile_pb2, recommendation_service_pb2_grpc
from aigc.v1 import event_service_pb2 as events
from aigc.v1 import profile_service_pb2 as profiles
from aigc.v1 import recommendation_service_pb2 as pb
from aigc_server.app import App, open_platform
from aigc_server.settings import IngressSettings, Settings
from tests.server.conftest import Client, copy_home, settings_with

pytestmark = pytest.mark.parametrize("front", ["ingress"], indirect=True)

ASKED = pb.RecommendRequest(user_id="space-fan-0", n=5)


async def like(client: Client, user: str, item: str) -> None:
    event = event_pb2.Event(id=f"{user}-{item}", user_id=user, item_id=item, type="like")
    await client.events.RecordEvents(events.RecordEventsRequest(events=[event]))


async def recommend(client: Client, request: pb.RecommendRequest = ASKED) -> pb.RecommendResponse:
    answer = await client.recommendations.Recommend(request)
    assert isinstance(answer, pb.RecommendResponse)
    return answer


def items_of(answer: pb.RecommendResponse) -> list[str]:
    return [item.item_id for item in answer.items]


async def test_the_same_question_gets_the_same_answer_which_counts_as_shown_again(client: Client) -> None:
    first = await recommend(client)
    again = [await recommend(client) for _ in range(3)]
    batch = await client.recommendations.BatchRecommend(pb.BatchRecommendRequest(requests=[ASKED, ASKED]))
    assert [*again, *batch.responses] == [first] * 5
    assert await recommend(client, pb.RecommendRequest()) == await recommend(client, pb.RecommendRequest())
    ingress = client.app.ingress
    assert ingress is not None
    ingress._note()
    assert ingress.kept == 6
    assert ingress.answered["/aigc.v1.RecommendationService/Recommend"] == 6
    assert client.app.platform.exposure.totals(1)[0] == 6 * 5 + 2 * 20


async def test_what_the_user_does_is_in_the_next_answer_and_others_keep_theirs(client: Client) -> None:
    other = pb.RecommendRequest(user_id="garden-fan-1", n=5)
    first, others = await recommend(client), await recommend(client, other)
    await like(client, "space-fan-0", items_of(first)[0])
    after = await recommend(client)
    assert items_of(first)[0] not in items_of(after)
    assert after.recommendation_id != first.recommendation_id
    assert await recommend(client, other) == others


async def test_what_the_user_does_counts_where_vectors_are_searched(client: Client) -> None:
    asked = pb.RecommendRequest(user_id="space-fan-0", n=5, strategy="content")
    await recommend(client, asked)  # made by the share that is left for generated items just then, and not kept
    first = await recommend(client, asked)
    assert await recommend(client, asked) == first
    await like(client, "space-fan-0", items_of(first)[0])
    assert items_of(first)[0] not in items_of(await recommend(client, asked))


async def test_wishes_count_at_once(client: Client) -> None:
    await recommend(client)
    wishes = profile_pb2.Preferences(user_id="space-fan-0", dislikes=["space"])
    await client.profiles.UpdatePreferences(
        profiles.UpdatePreferencesRequest(preferences=wishes, update_mask=FieldMask(paths=["dislikes"]))
    )
    assert not [item for item in items_of(await recommend(client)) if item.startswith("space")]


async def test_an_item_that_is_deleted_is_in_no_answer(client: Client) -> None:
    first = await recommend(client)
    similar = pb.SimilarItemsRequest(item_id="garden-3", n=5)
    near = await client.recommendations.SimilarItems(similar)
    assert await client.recommendations.SimilarItems(similar) == near
    for gone in (items_of(first)[0], near.items[0].item_id):
        await client.catalog.DeleteItem(catalog.DeleteItemRequest(item_id=gone))
        assert gone not in items_of(await recommend(client))
        assert gone not in [item.item_id for item in (await client.recommendations.SimilarItems(similar)).items]


async def build(client: Client) -> str:
    steps = [step async for step in client.admin.BuildSnapshot(admin.BuildSnapshotRequest())]
    return str(steps[-1].snapshot.id)


async def test_an_answer_outlives_its_snapshot_until_something_contradicts_it(client: Client) -> None:
    other = pb.RecommendRequest(user_id="garden-fan-1", n=5)
    first, others = await recommend(client), await recommend(client, other)
    for _ in range(2):
        newest = await build(client)
        assert await recommend(client) == first
    # Nobody asked for it meanwhile: that of two snapshots ago is not known to hold.
    assert (await recommend(client, other)).snapshot_id == newest != others.snapshot_id
    await like(client, "space-fan-0", items_of(first)[0])
    after = await recommend(client)
    assert after.snapshot_id == newest
    assert items_of(first)[0] not in items_of(after)


async def test_what_happened_before_the_snapshot_came_is_in_the_next_answer(client: Client) -> None:
    first = await recommend(client)
    await like(client, "space-fan-0", items_of(first)[0])
    newest = await build(client)
    after = await recommend(client)
    assert after.snapshot_id == newest
    assert items_of(first)[0] not in items_of(after)


async def test_an_edited_strategy_counts_at_once_with_a_new_snapshot_and_without(client: Client) -> None:
    strategies = client.app.platform.strategies
    folder = client.app.platform.home / "strategies"
    folder.mkdir(exist_ok=True)
    asked = pb.RecommendRequest(user_id="space-fan-0", n=3, strategy="mine")
    head = "max_generated_share = 0.3\n[[sources]]\nkind = "
    for turn in (1, 2):
        (folder / "mine.toml").write_text(head + '"popular"\n')
        strategies.refresh()
        first = await recommend(client, asked)
        assert await recommend(client, asked) == first
        (folder / "mine.toml").write_text(head + '"fresh"\n')
        if turn == 2:
            await build(client)
        strategies.refresh()
        assert items_of(await recommend(client, asked)) != items_of(first)


@pytest.mark.parametrize("kept", [{"keep_mb": 0}, {"keep_seconds": 0.0}], ids=["no memory", "no time"])
async def test_it_can_be_turned_off(front: str, trained_home: Path, tmp_path: Path, kept: dict[str, float]) -> None:
    copy_home(trained_home, tmp_path / "home")
    settings = settings_with(ingress=replace(IngressSettings(mode="on"), **kept))
    app = App(open_platform(Settings(), tmp_path / "home"), settings)
    await app.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{app.port}") as channel:
        stub = recommendation_service_pb2_grpc.RecommendationServiceStub(channel)
        answers = [await stub.Recommend(ASKED) for _ in range(3)]
    await app.stop()
    assert len({answer.recommendation_id for answer in answers}) == 3


async def test_little_memory_keeps_few_and_answers_all(front: str, trained_home: Path, tmp_path: Path) -> None:
    copy_home(trained_home, tmp_path / "home")
    settings = settings_with(ingress=IngressSettings(mode="on", keep_mb=1))
    app = App(open_platform(Settings(), tmp_path / "home"), settings)
    await app.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{app.port}") as channel:
        stub = recommendation_service_pb2_grpc.RecommendationServiceStub(channel)
        many = [pb.RecommendRequest(user_id=f"visitor-{i}", n=40, explain=True) for i in range(600)]
        for _ in range(2):
            answer = await stub.BatchRecommend(pb.BatchRecommendRequest(requests=many))
            assert [len(response.items) for response in answer.responses] == [40] * 600
    assert app.ingress is not None
    app.ingress._note()
    assert 0 < app.ingress.kept < 600
    await app.stop()


def test_settings_without_a_meaning_are_refused(front: str) -> None:
    with pytest.raises(InvalidInputError, match=r"server\.ingress\.keep_mb is -1"):
        IngressSettings(keep_mb=-1)
    with pytest.raises(InvalidInputError, match=r"server\.ingress\.keep_seconds is nan"):
        IngressSettings(keep_seconds=float("nan"))
