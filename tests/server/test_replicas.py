"""Two servers on one PostgreSQL: what goes through one counts in the other."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc
import psycopg
import pytest

from aigc.v1 import catalog_service_pb2, event_pb2, event_service_pb2, item_pb2, profile_pb2, profile_service_pb2
from aigc.v1 import recommendation_service_pb2 as pb
from aigc_server.app import App, open_platform
from aigc_server.settings import Settings, StoreSettings
from tests.server.conftest import Client, settings_with, small_behaviour, small_catalogue

pytestmark = pytest.mark.postgres
SOON_S = 1.0


@pytest.fixture
async def replicas(postgres_url: str, tmp_path: Path) -> AsyncIterator[tuple[Client, Client]]:
    settings = replace(Settings(), store=StoreSettings(url=postgres_url))
    clients, apps, channels = [], [], []
    for name in ("first", "second"):
        platform = await asyncio.to_thread(open_platform, settings, tmp_path / name)
        if not apps:
            platform.catalog.upsert(small_catalogue())
            platform.behaviour.record(small_behaviour())
        app = App(platform, settings_with())
        await app.start()
        channel = grpc.aio.insecure_channel(f"127.0.0.1:{app.port}")
        apps.append(app)
        channels.append(channel)
        clients.append(Client(channel, app))
    # Each maps a snapshot of the same data.
    for app in apps:
        await asyncio.to_thread(lambda platform: list(platform.build()), app.platform)
        await asyncio.to_thread(app.platform.live.publish)
    yield clients[0], clients[1]
    for channel in channels:
        await channel.close()
    for app in apps:
        await app.stop()


async def like(client: Client, user: str, item: str, number: int) -> None:
    event = event_pb2.Event(id=f"like-{user}-{number}", user_id=user, item_id=item, type="like")
    event.event_time.GetCurrentTime()
    await client.events.RecordEvents(event_service_pb2.RecordEventsRequest(events=[event]))


async def items(client: Client, user: str, n: int = 5) -> list[str]:
    answer = await client.recommendations.Recommend(pb.RecommendRequest(user_id=user, n=n, strategy="collaborative"))
    return [item.item_id for item in answer.items]


async def until(holds: Any) -> float:
    """Seconds until it holds; fails after five."""
    began = time.perf_counter()
    while not await holds():
        assert time.perf_counter() - began < 5
        await asyncio.sleep(0.002)
    return time.perf_counter() - began


async def test_an_event_through_one_shows_in_the_others_answer_within_a_second(replicas: tuple[Client, Client]) -> None:
    for here, there, topic in ((*replicas, "music"), (*reversed(replicas), "garden")):
        user = f"new-{topic}"
        stranger = await items(there, user)
        await like(here, user, f"{topic}-3", 1)
        told = await items(here, user)
        assert told != stranger

        async def shows(there: Client = there, user: str = user, told: list[str] = told) -> bool:
            return await items(there, user) == told

        assert await until(shows) < SOON_S
        assert told[0].startswith(topic)


async def test_no_event_is_skipped_while_both_write(replicas: tuple[Client, Client]) -> None:
    """Each replica's own events are applied at once: those of the other that lie before them must not be lost."""
    first, second = replicas
    liked = [f"space-{i}" for i in range(10)]
    await asyncio.gather(*(like(replicas[i % 2], "both", item, i) for i, item in enumerate(liked)))

    async def same() -> bool:
        seen = [c.app.platform.live.serving.state.history("both") for c in replicas]
        return all(len(rows) == len(liked) for rows, *_ in seen)

    await until(same)
    for client in (first, second):
        assert not set(await items(client, "both", n=30)) & set(liked)


async def test_items_and_preferences_follow_too(replicas: tuple[Client, Client]) -> None:
    here, there = replicas
    item = item_pb2.Item(id="fresh", kind="text", title="space story fresh", text="spacecraft", categories=["space"])
    await here.catalog.UpsertItems(catalog_service_pb2.UpsertItemsRequest(items=[item]))

    async def found(wanted: bool = True) -> bool:
        answer = await there.recommendations.Search(pb.SearchRequest(text="space story fresh", n=50))
        return ("fresh" in [i.item_id for i in answer.items]) is wanted

    assert await until(found) < SOON_S
    await here.catalog.DeleteItem(catalog_service_pb2.DeleteItemRequest(item_id="fresh"))
    assert await until(lambda: found(False)) < SOON_S
    declared = profile_pb2.Preferences(user_id="space-fan-0", dislikes=["space"])
    change = profile_service_pb2.UpdatePreferencesRequest(preferences=declared, update_mask={"paths": ["dislikes"]})
    await here.profiles.UpdatePreferences(change)

    async def spared() -> bool:
        return not any(i.startswith("space") for i in await items(there, "space-fan-0", n=20))

    assert await until(spared) < SOON_S


async def test_a_replica_that_lost_its_connection_catches_up(
    replicas: tuple[Client, Client], postgres_url: str
) -> None:
    here, there = replicas
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'LISTEN%' AND datname = "
            "current_database()"
        )
    await like(here, "late", "cooking-2", 1)

    async def shows() -> bool:
        return "cooking-2" not in await items(there, "late", n=40)

    assert await until(shows) < SOON_S
    await until(lambda: asyncio.sleep(0, not there.app.platform.problems()))
