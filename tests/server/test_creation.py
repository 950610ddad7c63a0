from __future__ import annotations

import asyncio
import hashlib
import io
import json
import string
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
import pytest_asyncio
from PIL import Image

from aigc.creation.label import read_label
from aigc.entities import Event, Item, ItemContent
from aigc.generate.gan_generator import GanGenerator
from aigc.generate.gan_options import GanOptions
from aigc.generate.gan_task import GanTask
from aigc.generate.repository import ModelRepository
from aigc.generate.tokenizer import TextTokenizer
from aigc.prepare.picture import encode_png
from aigc.v1 import (
    catalog_service_pb2,
    catalog_service_pb2_grpc,
    creation_pb2,
    creation_service_pb2_grpc,
    recommendation_service_pb2,
    recommendation_service_pb2_grpc,
)
from aigc.v1 import creation_service_pb2 as pb
from aigc_server.app import open_platform
from aigc_server.settings import Settings
from tests.generate.small_text import small_gpt
from tests.generate.test_gan import strokes
from tests.server.failure import failure
from tests.server.generation import GenerationClient, generation_server

pytestmark = pytest.mark.asyncio(loop_scope="module")
PATIENCE_S = 120
STRATEGY = """
max_generated_share = 0.5
[[sources]]
kind = "item_item"
model = "content"
[[sources]]
kind = "vector"
[[sources]]
kind = "popular"
fallback = true
[generate]
enabled = true
models = "strokes"
least_quality = 0.0
duplicate_distance = 0.0
per_user_day = 12
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Strokes as a catalogue, a GAN of them that was never trained, and two strategies."""
    made = tmp_path_factory.mktemp("creation")
    data = strokes(40, 0)
    options = GanOptions(channels=(16, 16), latent_size=8, batch_size=8, patch=1)
    task = GanTask(data, data, options)
    ModelRepository(made / "models").add("strokes", GanGenerator.from_task(task, task.modules))
    folder = made / "strategies"
    folder.mkdir()
    (folder / "default.toml").write_text(STRATEGY)
    (folder / "reviewed.toml").write_text(STRATEGY + 'review = "before"\n')
    letters = TextTokenizer.characters([string.ascii_letters + string.digits + " .,·\n"])
    ModelRepository(made / "models").add("writer", small_gpt(tokenizer=letters))
    ModelRepository(made / "models").add("chinese", small_gpt(tokenizer=TextTokenizer.characters(["春眠不觉晓"])))
    described = STRATEGY + 'unsupported_claims = "allow"\ncandidates = 16\n'
    (folder / "described.toml").write_text(described + 'describe_with = "writer"\n')
    (folder / "chinese.toml").write_text(described + 'describe_with = "chinese"\n')
    (folder / "mute.toml").write_text(STRATEGY + 'describe_with = "nobody"\n')
    (folder / "still.toml").write_text(STRATEGY.replace("enabled = true", "enabled = false"))
    platform = open_platform(Settings(), made)
    items = [
        Item(
            f"stroke-{i}",
            kind="image",
            title=f"{data.classes[label]} {i}",
            categories=(data.classes[label],),
            content=ItemContent("image/png", encode_png(pixels)),
        )
        for i, (pixels, label) in enumerate(zip(data.pixels, data.labels.tolist(), strict=True))
    ]
    platform.catalog.upsert(items)
    liked = [i.id for i in items if i.categories == ("upright",)][:6]
    events = [Event(f"e{n}", "fan", i, "like", 1_760_000_000_000 + n) for n, i in enumerate(liked)]
    events += [Event(f"d{n}", "described", i, "like", 1_760_000_000_000 + n) for n, i in enumerate(liked)]
    platform.behaviour.record(events)
    assert [step.snapshot_id for step in platform.build()][-1]
    platform.close()
    return made


class CreationClient:
    """Stubs of what the loop touches."""

    def __init__(self, server: GenerationClient) -> None:
        self.server = server
        self.creations: Any = creation_service_pb2_grpc.CreationServiceStub(server.channel)
        self.catalog: Any = catalog_service_pb2_grpc.CatalogServiceStub(server.channel)
        self.recommendations: Any = recommendation_service_pb2_grpc.RecommendationServiceStub(server.channel)

    async def generate(self, **request: Any) -> list[pb.GenerateForUserResponse]:
        message = pb.GenerateForUserRequest(**{"user_id": "fan", "n": 2, "force": True} | request)
        return [step async for step in self.creations.GenerateForUser(message, timeout=PATIENCE_S)]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def client(home: Path) -> AsyncIterator[CreationClient]:
    async with generation_server(home) as server:
        yield CreationClient(server)


async def test_a_decision_comes_first_with_its_reasons(client: CreationClient) -> None:
    steps = await client.generate(dry_run=True)
    assert len(steps) == 1
    decision = steps[0].decision
    assert decision.generate
    assert {"strategy", "preference", "models", "relevance", "coverage", "budget_user"} <= {
        r.name for r in decision.reasons
    }
    assert all(r.text for r in decision.reasons)


async def test_what_is_admitted_is_labelled_recorded_and_recommended_at_once(client: CreationClient) -> None:
    steps = await client.generate(n=3)
    admitted = [s for s in steps if s.HasField("creation") and s.creation.state == creation_pb2.CREATION_STATE_ADMITTED]
    assert len(admitted) == 3
    for step in admitted:
        assert step.item.generated
        assert step.item.attributes["generated_label"] in ("AI-generated", "人工智能生成")
        label = read_label(step.item.content.media_type, step.item.content.data)
        assert label is not None
        assert label["ProduceID"] == step.creation.id
        assert step.item.categories == ["upright"]
        assert list(step.creation.source_item_ids)
    answer = await client.recommendations.Recommend(
        recommendation_service_pb2.RecommendRequest(user_id="fan", n=10), timeout=PATIENCE_S
    )
    shown = {i.item_id for i in answer.items if i.generated}
    assert shown & {s.item.id for s in admitted}
    assert len(shown) <= 5
    assert {i.label for i in answer.items if i.generated} == {"AI-generated"}
    assert not any(i.label for i in answer.items if not i.generated)
    stored = await client.catalog.GetItem(
        catalog_service_pb2.GetItemRequest(item_id=admitted[0].item.id, include_content=True), timeout=PATIENCE_S
    )
    assert stored.item.content.data == admitted[0].item.content.data


async def test_a_record_makes_the_very_same_file_again(client: CreationClient) -> None:
    steps = await client.generate(n=1)
    step = next(s for s in steps if s.HasField("item"))
    again = await client.creations.RegenerateCreation(pb.RegenerateCreationRequest(id=step.item.id), timeout=PATIENCE_S)
    assert again.identical
    assert again.item.content.data == step.item.content.data
    digest = hashlib.sha256(again.item.content.data).hexdigest()
    assert digest == hashlib.sha256(step.item.content.data).hexdigest()
    assert np.asarray(Image.open(io.BytesIO(again.item.content.data))).shape == (8, 8)


async def test_nothing_is_generated_where_the_strategy_or_the_profile_forbids_it(client: CreationClient) -> None:
    for request, name in (({"strategy": "still"}, "strategy"), ({"user_id": "stranger"}, "profile")):
        steps = await client.generate(**request)
        assert len(steps) == 1
        assert not steps[0].decision.generate
        assert not {r.name: r.speaks_for for r in steps[0].decision.reasons}[name]


async def test_a_person_decides_before_anything_is_shown(client: CreationClient) -> None:
    steps = await client.generate(n=2, strategy="reviewed")
    pending = [s for s in steps if s.HasField("item")]
    assert [s.creation.state for s in pending] == [creation_pb2.CREATION_STATE_PENDING] * 2
    queue = await client.creations.ListCreations(pb.ListCreationsRequest(state=creation_pb2.CREATION_STATE_PENDING))
    assert {c.id for c in queue.creations} >= {s.creation.id for s in pending}

    async def shown() -> set[str]:
        answer = await client.recommendations.Recommend(
            recommendation_service_pb2.RecommendRequest(user_id="fan", n=50), timeout=PATIENCE_S
        )
        return {i.item_id for i in answer.items}

    first, second = pending
    assert not {first.item.id, second.item.id} & await shown()
    approved = await client.creations.ApproveCreation(pb.ApproveCreationRequest(id=first.creation.id, reviewer="ann"))
    assert approved.creation.reviewer == "ann"
    rejected = await client.creations.RejectCreation(
        pb.RejectCreationRequest(id=second.creation.id, reviewer="ann", reason="smudged")
    )
    assert rejected.creation.detail == "smudged"
    assert first.item.id in await shown()
    failed = await failure(
        client.creations.ApproveCreation(pb.ApproveCreationRequest(id=second.creation.id, reviewer="ann"))
    )
    assert failed.reason == "NOT_PENDING"


async def test_the_budget_of_a_day_is_kept(client: CreationClient) -> None:
    for _ in range(8):
        steps = await client.generate(n=4)
        if not steps[0].decision.generate:
            break
    assert not steps[0].decision.generate
    assert not {r.name: r.speaks_for for r in steps[0].decision.reasons}["budget_user"]


@pytest.mark.parametrize(
    ("request_fields", "field"),
    [({"n": 65}, "n"), ({"adventure": 2.0}, "adventure"), ({"kind": "smell"}, "kind"), ({"user_id": ""}, "user_id")],
)
async def test_a_wrong_field_is_named(client: CreationClient, request_fields: dict[str, Any], field: str) -> None:
    failed = await failure(client.generate(**request_fields))
    assert (failed.code, failed.field) == (grpc.StatusCode.INVALID_ARGUMENT, field)


async def test_creations_are_paged_and_found_by_their_item(client: CreationClient) -> None:
    first = await client.creations.ListCreations(pb.ListCreationsRequest(page_size=2))
    second = await client.creations.ListCreations(
        pb.ListCreationsRequest(page_size=2, page_token=first.next_page_token)
    )
    ids = [c.id for c in (*first.creations, *second.creations)]
    assert len(set(ids)) == 4
    with_item = next(c for c in (*first.creations, *second.creations) if c.item_id)
    found = await client.creations.GetCreation(pb.GetCreationRequest(id=with_item.item_id))
    assert found.creation.id == with_item.id
    assert (await failure(client.creations.GetCreation(pb.GetCreationRequest(id="no")))).reason == "CREATION_NOT_FOUND"


async def test_a_text_model_gives_pictures_a_title_and_a_description_that_can_be_made_again(
    client: CreationClient,
) -> None:
    steps = await client.generate(user_id="described", strategy="described", n=2)
    made = [step.creation for step in steps if step.HasField("creation") and step.HasField("item")]
    items = [step.item for step in steps if step.HasField("item")]
    assert len(items) == 2
    for creation, item in zip(made, items, strict=True):
        words = json.loads(creation.recipe)["words"]
        assert words["model"] == "writer@1"
        assert words["prompt"].startswith("upright")
        assert item.kind == "image"
        assert item.text.startswith(words["prompt"])
        assert item.text.startswith(item.title)
        again = await client.creations.RegenerateCreation(pb.RegenerateCreationRequest(id=creation.id))
        assert again.identical
        assert item.text == (words["prompt"] + again.item.text).strip()


async def test_a_text_model_that_cannot_read_the_words_leaves_the_picture_its_plain_title(
    client: CreationClient,
) -> None:
    steps = await client.generate(user_id="described", strategy="chinese", n=1)
    (item,) = [step.item for step in steps if step.HasField("item")]
    assert item.title.startswith("upright · strokes")
    assert item.text == ""


async def test_a_text_model_that_is_not_there_is_named(client: CreationClient) -> None:
    failed = await failure(client.generate(user_id="described", strategy="mute"))
    assert failed.reason == "MODEL_NOT_FOUND"
    assert "generate.describe_with is 'nobody'" in failed.message


async def test_a_caller_who_leaves_lets_the_next_call_for_the_same_user_in(client: CreationClient) -> None:
    message = pb.GenerateForUserRequest(user_id="leaver", n=2, force=True)
    for _ in range(5):
        left = client.creations.GenerateForUser(message, timeout=PATIENCE_S)
        assert (await left.read()).HasField("decision")
        left.cancel()

    async def again() -> str:
        async for step in client.creations.GenerateForUser(message, timeout=PATIENCE_S):
            assert step.HasField("decision")
            return "in"
        return ""

    async with asyncio.timeout(PATIENCE_S):
        # What was in work when the caller left is finished first.
        while True:
            try:
                assert await again() == "in"
                return
            except grpc.aio.AioRpcError as error:
                assert error.code() is grpc.StatusCode.FAILED_PRECONDITION
                assert "already" in (error.details() or "")
