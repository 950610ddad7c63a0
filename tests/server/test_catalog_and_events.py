"""CatalogService, EventService and ProfileService over the wire."""

from __future__ import annotations

import io
import time
from collections.abc import AsyncIterator

import grpc
import pytest
from PIL import Image

from aigc.v1 import catalog_service_pb2 as catalog
from aigc.v1 import event_pb2, item_pb2
from aigc.v1 import event_service_pb2 as events
from aigc.v1 import profile_service_pb2 as profiles
from tests.server.conftest import Client
from tests.server.failure import failure


def picture(*, sideways: bool = False) -> bytes:
    exif = Image.Exif()
    if sideways:
        exif[0x0112] = 6
    target = io.BytesIO()
    Image.new("RGB", (4, 2), "red").save(target, "PNG", exif=exif)
    return target.getvalue()


async def test_an_item_comes_back_as_it_was_sent(client: Client) -> None:
    item = item_pb2.Item(
        id="诗-1",
        kind="text",
        title="静夜思 🌙",
        text="床前明月光",
        categories=["唐诗"],
        tags=["月", "乡"],
        author="李白",
        language="zh",
        attributes={"年": "726"},
        content=item_pb2.ItemContent(media_type="image/png", data=picture()),
    )
    item.create_time.FromMilliseconds(-1_000_001)
    assert (await client.catalog.UpsertItems(catalog.UpsertItemsRequest(items=[item]))).upserted_count == 1
    got = await client.catalog.GetItem(catalog.GetItemRequest(item_id="诗-1", include_content=True))
    assert got.item == item
    without = await client.catalog.GetItem(catalog.GetItemRequest(item_id="诗-1"))
    assert not without.item.HasField("content")


async def test_pages_cover_the_catalogue_once(client: Client) -> None:
    seen, token = [], ""
    while True:
        page = await client.catalog.ListItems(catalog.ListItemsRequest(page_size=7, page_token=token))
        assert page.total_size == 40
        seen += [i.id for i in page.items]
        token = page.next_page_token
        if not token:
            break
    assert sorted(set(seen)) == seen
    assert len(seen) == 40
    got = await failure(client.catalog.ListItems(catalog.ListItemsRequest(page_token="forged")))
    assert (got.code, got.field) == (grpc.StatusCode.INVALID_ARGUMENT, "page_token")


async def test_a_bad_item_refuses_the_whole_upsert_and_names_the_field(client: Client) -> None:
    items = [item_pb2.Item(id="good"), item_pb2.Item(id="bad", categories=["ok", "b" * 300])]
    got = await failure(client.catalog.UpsertItems(catalog.UpsertItemsRequest(items=items)))
    assert got.field == "items[1].categories[1]"
    missing = await failure(client.catalog.GetItem(catalog.GetItemRequest(item_id="good")))
    assert missing.code is grpc.StatusCode.NOT_FOUND


async def test_an_import_stream_keeps_the_good_and_reports_the_bad(client: Client) -> None:
    async def stream() -> AsyncIterator[catalog.ImportItemsRequest]:
        yield catalog.ImportItemsRequest(items=[item_pb2.Item(id="i-0"), item_pb2.Item(id="")])
        yield catalog.ImportItemsRequest(items=[item_pb2.Item(id="i-2")])

    done = await client.catalog.ImportItems(stream())
    assert (done.accepted_count, done.rejected_count) == (2, 1)
    assert (done.rejected[0].index, done.rejected[0].field) == (1, "items[1].id")


async def test_an_upserted_item_goes_through_the_steps_and_the_answer_tells_of_them(client: Client) -> None:
    turned = item_pb2.ItemContent(media_type="image/png", data=picture(sideways=True))
    items = [item_pb2.Item(id="a", title="<b>床前</b>明月光", text="疑是地上霜"), item_pb2.Item(id="b", content=turned)]
    done = await client.catalog.UpsertItems(catalog.UpsertItemsRequest(items=items))
    assert {s.name: (s.changed_count, s.refused_count) for s in done.prepare_steps} == {
        "text": (1, 0),
        "language": (1, 0),
        "picture": (1, 0),
    }
    request = catalog.BatchGetItemsRequest(item_ids=["a", "b"], include_content=True)
    poem, shown = (await client.catalog.BatchGetItems(request)).items
    assert (poem.title, poem.language) == ("床前明月光", "zh")
    assert Image.open(io.BytesIO(shown.content.data)).size == (2, 4)


async def test_an_item_that_a_step_refuses_is_named_and_others_of_a_stream_come_in(client: Client) -> None:
    broken = item_pb2.Item(id="x", content=item_pb2.ItemContent(media_type="image/png", data=b"no picture"))
    got = await failure(client.catalog.UpsertItems(catalog.UpsertItemsRequest(items=[item_pb2.Item(id="y"), broken])))
    assert (got.code, got.field, got.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "items[1].content", "ITEM_REFUSED")

    async def stream() -> AsyncIterator[catalog.ImportItemsRequest]:
        yield catalog.ImportItemsRequest(items=[broken, item_pb2.Item(id="y", title="a  b")])

    done = await client.catalog.ImportItems(stream())
    assert (done.accepted_count, done.rejected_count) == (1, 1)
    assert (done.rejected[0].item_id, done.rejected[0].field) == ("x", "items[0].content")
    assert {s.name: (s.changed_count, s.refused_count) for s in done.prepare_steps} == {
        "text": (1, 0),
        "language": (1, 0),
        "picture": (0, 1),
    }


async def test_a_clock_that_runs_ahead_is_set_right_on_arrival(client: Client) -> None:
    event = event_pb2.Event(id="fast", user_id="fast", item_id="music-1", type="like")
    event.event_time.FromMilliseconds(int(time.time() * 1000) + 7_200_000)
    assert (await client.events.RecordEvents(events.RecordEventsRequest(events=[event]))).accepted_count == 1
    profile = (await client.profiles.GetProfile(profiles.GetProfileRequest(user_id="fast"))).profile
    assert profile.last_event_time.ToMilliseconds() <= time.time() * 1000


async def test_an_update_changes_only_what_the_mask_names(client: Client) -> None:
    request = catalog.UpdateItemRequest(item=item_pb2.Item(id="music-1", title="new", text="not this"))
    request.update_mask.paths.append("title")
    updated = (await client.catalog.UpdateItem(request)).item
    assert (updated.title, updated.text) == ("new", "music musiccraft musicland")
    request.update_mask.paths.append("colour")
    got = await failure(client.catalog.UpdateItem(request))
    assert got.field == "update_mask"
    assert "colour" in got.message


async def test_a_repeated_event_counts_once(client: Client) -> None:
    event = event_pb2.Event(id="e", user_id="u", item_id="music-1", type="like")
    first = await client.events.RecordEvents(events.RecordEventsRequest(events=[event, event]))
    again = await client.events.RecordEvents(events.RecordEventsRequest(events=[event]))
    assert (first.accepted_count, first.duplicate_count) == (1, 1)
    assert (again.accepted_count, again.duplicate_count) == (0, 1)
    profile = (await client.profiles.GetProfile(profiles.GetProfileRequest(user_id="u"))).profile
    assert profile.event_count == 1
    assert [a.category for a in profile.affinities] == ["music"]


async def test_a_stream_acknowledges_each_batch_in_order(client: Client) -> None:
    async def stream() -> AsyncIterator[events.StreamEventsRequest]:
        for batch in range(5):
            yield events.StreamEventsRequest(
                events=[
                    event_pb2.Event(id=f"{batch}-{i}", user_id="s", item_id="music-1", type="view") for i in range(20)
                ]
            )

    acknowledged = [(a.batch_index, a.accepted_count) async for a in client.events.StreamEvents(stream())]
    assert acknowledged == [(i, 20) for i in range(5)]


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"type": "teleport"}, "events[0].type"),
        ({"id": ""}, "events[0].id"),
        ({"value": float("inf")}, "events[0].value"),
        ({"text": "a\0b"}, "events[0].text"),
    ],
)
async def test_a_bad_event_is_named_and_nothing_is_written(
    client: Client, change: dict[str, object], field: str
) -> None:
    fields = {"id": "x", "user_id": "u", "item_id": "music-1", "type": "like"} | change
    got = await failure(client.events.RecordEvents(events.RecordEventsRequest(events=[event_pb2.Event(**fields)])))
    assert (got.code, got.field) == (grpc.StatusCode.INVALID_ARGUMENT, field)
    assert client.app.platform.store.user_events("u") == []


async def test_times_out_of_range_are_refused(client: Client) -> None:
    event = event_pb2.Event(id="t", user_id="u", item_id="music-1", type="like")
    event.event_time.seconds = 300_000_000_000
    got = await failure(client.events.RecordEvents(events.RecordEventsRequest(events=[event])))
    assert got.field == "events[0].event_time"
    event.event_time.FromJsonString("2990-01-01T00:00:00Z")
    got = await failure(client.events.RecordEvents(events.RecordEventsRequest(events=[event])))
    assert got.field == "events[0].time"
