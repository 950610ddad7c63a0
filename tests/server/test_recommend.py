"""RecommendationService keeps its promises over the wire."""

from __future__ import annotations

import grpc
import pytest

from aigc.v1 import catalog_service_pb2 as catalog
from aigc.v1 import event_pb2, item_pb2, profile_pb2, recommendation_pb2
from aigc.v1 import event_service_pb2 as events
from aigc.v1 import profile_service_pb2 as profiles
from aigc.v1 import recommendation_service_pb2 as pb
from tests.server.conftest import Client
from tests.server.failure import failure


async def recommend(client: Client, **fields: object) -> list[str]:
    answer = await client.recommendations.Recommend(pb.RecommendRequest(**fields), timeout=5)
    return [item.item_id for item in answer.items]


async def like(client: Client, user: str, item: str) -> None:
    event = event_pb2.Event(id=f"{user}/{item}", user_id=user, item_id=item, type="like")
    await client.events.RecordEvents(events.RecordEventsRequest(events=[event]), timeout=5)


async def test_an_event_changes_the_next_answer_and_the_liked_item_is_gone(client: Client) -> None:
    before = await recommend(client, user_id="newcomer", n=5)
    await like(client, "newcomer", "garden-3")
    after = await recommend(client, user_id="newcomer", n=5)
    assert after != before
    assert all(item.startswith("garden-") for item in after)
    assert "garden-3" not in after


async def test_a_stranger_gets_something_and_the_answer_names_its_origin(client: Client) -> None:
    answer = await client.recommendations.Recommend(pb.RecommendRequest(n=7))
    assert len(answer.items) == 7
    assert answer.recommendation_id
    assert answer.strategy == "default"
    assert answer.snapshot_id == client.app.platform.live.serving.snapshot_id
    assert set(answer.model_versions) >= {"ease", "item_knn", "content"}


async def test_seen_denied_hidden_and_deleted_items_never_appear(client: Client) -> None:
    user = "space-fan-0"
    seen = {f"space-{i}" for i in range(6)}
    assert not seen & set(await recommend(client, user_id=user, n=40))
    assert seen & set(await recommend(client, user_id=user, n=40, include_seen=True))
    assert "space-7" not in await recommend(client, user_id=user, n=40, deny_item_ids=["space-7"])
    update = catalog.UpdateItemRequest(item=item_pb2.Item(id="space-8", hidden=True))
    update.update_mask.paths.append("hidden")
    await client.catalog.UpdateItem(update)
    await client.catalog.DeleteItem(catalog.DeleteItemRequest(item_id="space-9"))
    everything = await recommend(client, user_id=user, n=40)
    assert not {"space-8", "space-9"} & set(everything)
    assert len(everything) == 40 - len(seen) - 2, "fewer candidates than n give fewer items, none twice"
    assert len(set(everything)) == len(everything)


async def test_filters_hold(client: Client) -> None:
    assert all(i.startswith("music-") for i in await recommend(client, categories=["music"], n=30))
    assert await recommend(client, categories=["no such"], n=5) == []
    assert await recommend(client, kinds=["audio"], n=5) == []
    allowed = ["music-1", "cooking-2"]
    assert set(await recommend(client, allow_item_ids=allowed, n=5)) == set(allowed)
    assert len(await recommend(client, kinds=["image"], n=40)) == 20


async def test_a_context_item_leads_to_its_neighbours(client: Client) -> None:
    near = await recommend(client, context_item_id="cooking-4", n=5)
    assert all(i.startswith("cooking-") for i in near)
    assert "cooking-4" not in near


async def test_the_reasons_add_up_and_name_the_history(client: Client) -> None:
    answer = await client.recommendations.Recommend(pb.RecommendRequest(user_id="music-fan-1", n=3, explain=True))
    for item in answer.items:
        assert sum(s.share for s in item.reasons.sources) == pytest.approx(1, abs=1e-4)
        liked = [n for n in item.reasons.neighbours if n.kind == recommendation_pb2.NEIGHBOUR_KIND_ITEM]
        assert liked
        assert all(n.id.startswith("music-") and n.title for n in liked)
        shares = {s.source: s.share for s in item.reasons.sources}
        users = [n for n in item.reasons.neighbours if n.kind == recommendation_pb2.NEIGHBOUR_KIND_USER]
        assert sum(n.share for n in users) <= shares.get("user_user", 0) + 1e-5
        assert all(n.share > 0 for n in item.reasons.neighbours)


async def test_declarations_count_at_once(client: Client) -> None:
    request = profiles.UpdatePreferencesRequest(
        preferences=profile_pb2.Preferences(user_id="quiet", interests={"garden": 1.0}, dislikes=["music"])
    )
    request.update_mask.paths.append("*")
    await client.profiles.UpdatePreferences(request)
    wanted = await recommend(client, user_id="quiet", n=5)
    assert all(i.startswith("garden-") for i in wanted)
    assert not [i for i in await recommend(client, user_id="quiet", n=40) if i.startswith("music-")]
    plain = profiles.UpdatePreferencesRequest(
        preferences=profile_pb2.Preferences(user_id="space-fan-0", no_personalisation=True)
    )
    plain.update_mask.paths.append("no_personalisation")
    await client.profiles.UpdatePreferences(plain)
    assert await recommend(client, user_id="space-fan-0", n=10) == await recommend(client, n=10)


async def test_a_batch_answers_each_as_alone(client: Client) -> None:
    users = ["space-fan-0", "stranger", "music-fan-2"]
    requests = [pb.RecommendRequest(user_id=u, n=4, strategy=s) for u in users for s in ("", "popular", "content")]
    batch = await client.recommendations.BatchRecommend(pb.BatchRecommendRequest(requests=requests))
    for request, response in zip(requests, batch.responses, strict=True):
        alone = await client.recommendations.Recommend(request)
        assert [i.item_id for i in response.items] == [i.item_id for i in alone.items]


async def test_a_new_item_is_found_without_a_rebuild(client: Client) -> None:
    item = item_pb2.Item(id="fresh", title="spacecraft spaceland", text="space", categories=["space"])
    await client.catalog.UpsertItems(catalog.UpsertItemsRequest(items=[item]))
    found = await client.recommendations.Search(pb.SearchRequest(text="spaceland", n=20))
    assert "fresh" in [i.item_id for i in found.items]
    near = await client.recommendations.SimilarItems(pb.SimilarItemsRequest(item_id="fresh", n=5))
    assert all(i.item_id.startswith("space-") for i in near.items)
    assert "fresh" in await recommend(client, user_id="space-fan-0", strategy="content", n=10)


async def test_search_by_vector_and_similar_users(client: Client) -> None:
    size = client.app.platform.live.serving.state.embedding_size
    found = await client.recommendations.Search(pb.SearchRequest(text="gardenland", n=3))
    assert all(i.item_id.startswith("garden-") for i in found.items)
    wrong = await failure(client.recommendations.Search(pb.SearchRequest(vector=pb.Vector(values=[1.0] * (size + 1)))))
    assert wrong.reason == "WRONG_DIMENSION"
    assert str(size) in wrong.message
    users = await client.recommendations.SimilarUsers(pb.SimilarUsersRequest(user_id="music-fan-0", n=3))
    assert all(u.user_id.startswith("music-fan-") and u.user_id != "music-fan-0" for u in users.users)


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"n": 1001}, "n"),
        ({"n": -1}, "n"),
        ({"diversity": 1.5}, "diversity"),
        ({"diversity": float("nan")}, "diversity"),
        ({"user_id": "a\nb"}, "user_id"),
        ({"user_id": "x" * 257}, "user_id"),
        ({"deny_item_ids": ["ok", ""]}, "deny_item_ids[1]"),
        ({"categories": ["c"] * 10_001}, "categories"),
    ],
)
async def test_invalid_input_names_the_field(client: Client, fields: dict[str, object], field: str) -> None:
    got = await failure(client.recommendations.Recommend(pb.RecommendRequest(**fields)))
    assert (got.code, got.field, got.domain) == (grpc.StatusCode.INVALID_ARGUMENT, field, "aigc")


async def test_an_unknown_strategy_or_item_is_not_found(client: Client) -> None:
    got = await failure(client.recommendations.Recommend(pb.RecommendRequest(strategy="nope")))
    assert (got.code, got.reason) == (grpc.StatusCode.NOT_FOUND, "UNKNOWN_STRATEGY")
    assert "default" in got.message
    got = await failure(client.recommendations.SimilarItems(pb.SimilarItemsRequest(item_id="nope")))
    assert (got.code, got.reason) == (grpc.StatusCode.NOT_FOUND, "ITEM_NOT_FOUND")
