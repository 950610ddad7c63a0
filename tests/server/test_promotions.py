"""A worse version is refused, or rolled back by what people do with what it made: over gRPC, with real models."""

from __future__ import annotations

import asyncio
import io
import time
import urllib.request
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
import pytest_asyncio
import torch
from click.testing import CliRunner
from PIL import Image

from aigc.creation.bandit.rewards import RewardOptions
from aigc.creation.promotion import PromotionOptions
from aigc.entities import Event, Item, ItemContent
from aigc.evaluate.generation.held_out import held_out_measures
from aigc.generate.gan_generator import GanGenerator
from aigc.generate.gan_task import GanTask
from aigc.generate.repository import ModelRepository
from aigc.prepare.picture import encode_png
from aigc.v1 import (
    event_service_pb2,
    event_service_pb2_grpc,
    generation_service_pb2,
    promotion_pb2,
    promotion_service_pb2_grpc,
)
from aigc.v1 import promotion_service_pb2 as pb
from aigc_server.app import open_platform
from aigc_server.cli import cli
from aigc_server.converters.event import event_to_proto
from aigc_server.settings import Settings
from tests.generate.test_gan import small, strokes, train
from tests.server.conftest import copy_home
from tests.server.failure import failure
from tests.server.generation import generation_server
from tests.server.test_creation import STRATEGY, CreationClient

pytestmark = pytest.mark.asyncio(loop_scope="module")
SETTINGS = replace(
    Settings(),
    promotion=PromotionOptions(least=15, spread=0.5, margin=0.1, watch_share=0.5),
    rewards=RewardOptions(window_ms=1),
)
FANS = 20


@pytest.fixture(scope="module")
def made_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Strokes as a catalogue, with fans; ``strokes`` 1 learned to draw them, 2 draws noise, both measured."""
    home = tmp_path_factory.mktemp("promotions")
    threads = torch.get_num_threads()
    # Networks this small lose more by waiting for a second thread than they gain.
    torch.set_num_threads(1)
    learned, kept = strokes(256, 0), strokes(128, 1)
    repository = ModelRepository(home / "models")
    for steps in (40, 0):
        task = GanTask(learned, kept, small(penalty=0.1, learning_rate=2e-3))
        train(task, steps)
        generator = GanGenerator.from_task(task, task.modules)
        repository.add("strokes", generator, measures=held_out_measures(generator, learned, kept))
    torch.set_num_threads(threads)
    (home / "strategies").mkdir()
    (home / "strategies" / "default.toml").write_text(STRATEGY.replace("per_user_day = 12", "per_user_day = 1000"))
    platform = open_platform(Settings(), home)
    items = [
        Item(
            f"s{i}", kind="image", categories=(learned.classes[label],), content=ItemContent("image/png", encode_png(p))
        )
        for i, (p, label) in enumerate(zip(learned.pixels[:40], learned.labels[:40].tolist(), strict=True))
    ]
    platform.catalog.upsert(items)
    platform.behaviour.record(
        [
            Event(f"e{u}-{n}", f"fan-{u}", item.id, "like", 1_760_000_000_000 + n)
            for u in range(FANS)
            for n, item in enumerate([i for i in items if i.categories == ("upright",)][:6])
        ]
    )
    assert [step.snapshot_id for step in platform.build()][-1]
    platform.close()
    return home


class PromotionClient(CreationClient):
    """Someone who has pictures made and shows them, and the people who look at them."""

    def __init__(self, server: Any) -> None:
        super().__init__(server)
        self.promotions: Any = promotion_service_pb2_grpc.PromotionServiceStub(server.channel)
        self.events: Any = event_service_pb2_grpc.EventServiceStub(server.channel)
        self.seen = 0

    async def work(self) -> str:
        """One picture, made for someone, who likes it when it shows a stroke; gives the model that made it."""
        user = f"fan-{self.seen % FANS}"
        steps = await self.generate(user_id=user, n=1)
        step = next(s for s in steps if s.HasField("item"))
        self.seen += 1
        kinds = ["impression", "like"] if shows_a_stroke(step.item.content.data) else ["impression"]
        now = int(time.time() * 1000)
        events = [event_to_proto(Event(f"{step.item.id}-{k}", user, step.item.id, k, now)) for k in kinds]
        await self.events.RecordEvents(event_service_pb2.RecordEventsRequest(events=events))
        return str(step.creation.model)

    async def stands(self) -> promotion_pb2.Promotion:
        return (await self.promotions.GetPromotion(pb.GetPromotionRequest(model="strokes"))).promotion

    async def serving(self) -> str:
        """The model that a bare name means in the generator's own process."""
        request = generation_service_pb2.GenerateImagesRequest(model="strokes", n=1)
        return str((await self.server.generation.GenerateImages(request)).model)

    async def force(self) -> promotion_pb2.Promotion:
        return (await self.promotions.ForceVersion(pb.ForceVersionRequest(model="strokes", version=2))).promotion


@asynccontextmanager
async def served(home: Path) -> AsyncIterator[PromotionClient]:
    async with generation_server(home, SETTINGS) as server:
        yield PromotionClient(server)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def client(made_home: Path, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[PromotionClient]:
    """One server for what leaves no comparison behind."""
    home = tmp_path_factory.mktemp("shared") / "home"
    copy_home(made_home, home)
    async with served(home) as client:
        yield client


def shows_a_stroke(png: bytes) -> bool:
    """Is one line, across or down, much brighter than the others?"""
    pixels = np.asarray(Image.open(io.BytesIO(png)).convert("L"), np.float64)
    return bool(max(pixels.mean(axis=0).std(), pixels.mean(axis=1).std()) > 40)


async def test_a_version_that_measures_worse_is_not_promoted(client: PromotionClient) -> None:
    failed = await failure(client.promotions.ProposeVersion(pb.ProposeVersionRequest(model="strokes", version=2)))
    assert (failed.code, failed.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "WORSE_OFFLINE")
    assert "frechet is" in failed.message
    assert "promote it by force" in failed.message
    promotion = await client.stands()
    assert (promotion.stage, promotion.champion) == (promotion_pb2.PROMOTION_STAGE_STEADY, 1)
    assert promotion.history[0].outcome == promotion_pb2.PROMOTION_OUTCOME_REFUSED
    assert {await client.work() for _ in range(3)} == {"strokes@1"}


async def test_a_worse_version_promoted_by_force_is_rolled_back_by_what_people_do_even_across_a_restart(
    made_home: Path, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    copy_home(made_home, home)
    async with served(home) as client:
        promotion = await client.force()
        assert (promotion.stage, promotion.forced) == (promotion_pb2.PROMOTION_STAGE_WATCH, True)
        assert await client.serving() == "strokes@2"
        models = {await client.work() for _ in range(20)}
        assert models == {"strokes@1", "strokes@2"}
    async with served(home) as client:
        promotion = await client.stands()
        assert (promotion.champion, promotion.other) == (2, 1)
        assert sum(t.count + t.waiting for t in promotion.tallies) == 20
        for _ in range(200):
            await client.work()
            promotion = await client.stands()
            if promotion.stage == promotion_pb2.PROMOTION_STAGE_STEADY:
                break
        assert promotion.champion == 1
        last = promotion.history[-1]
        assert (last.outcome, last.version) == (promotion_pb2.PROMOTION_OUTCOME_ROLLED_BACK, 2)
        assert "mean reward -0." in last.reason
        assert await client.serving() == "strokes@1"
        assert {await client.work() for _ in range(3)} == {"strokes@1"}


async def test_every_outcome_is_on_the_page_of_metrics(client: PromotionClient) -> None:
    port = client.server.app.metrics.serve("127.0.0.1:0")
    await client.force()
    await client.promotions.WithdrawVersion(pb.WithdrawVersionRequest(model="strokes"))
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
        page = answer.read().decode()
    counts = client.server.app.platform.promotions.counts()
    assert counts["forced"]
    assert counts["rolled_back"]
    for outcome, count in counts.items():
        assert f'aigc_promotion_outcomes_total{{outcome="{outcome}"}} {count:.1f}' in page
    assert "aigc_promotions_running 0.0" in page


async def test_wrong_requests_are_named_and_told_what_to_do(client: PromotionClient) -> None:
    stub = client.promotions
    failed = await failure(stub.ForceVersion(pb.ForceVersionRequest(model="strokes", version=1)))
    assert (failed.code, failed.field) == (grpc.StatusCode.INVALID_ARGUMENT, "version")
    failed = await failure(stub.ForceVersion(pb.ForceVersionRequest(model="strokes", version=7)))
    assert (failed.code, failed.reason) == (grpc.StatusCode.NOT_FOUND, "MODEL_NOT_FOUND")
    failed = await failure(stub.GetPromotion(pb.GetPromotionRequest(model="../etc")))
    assert (failed.code, failed.field) == (grpc.StatusCode.INVALID_ARGUMENT, "model")
    failed = await failure(stub.WithdrawVersion(pb.WithdrawVersionRequest(model="strokes")))
    assert (failed.code, failed.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "NO_COMPARISON")
    failed = await failure(stub.ListPromotions(pb.ListPromotionsRequest(page_size=-1)))
    assert (failed.code, failed.field) == (grpc.StatusCode.INVALID_ARGUMENT, "page_size")
    listed = (await stub.ListPromotions(pb.ListPromotionsRequest())).promotions
    assert [p.model for p in listed] == ["strokes"]


async def test_commands_promote_show_and_withdraw(client: PromotionClient) -> None:
    address = f"127.0.0.1:{client.server.app.port}"

    async def run(*words: str) -> Any:
        return await asyncio.to_thread(CliRunner().invoke, cli, ["generator", *words, "--server", address])

    refused = await run("promote", "strokes", "2")
    assert "FAILED_PRECONDITION: strokes@2 is not proposed: frechet is" in str(refused.exception)
    forced = await run("promote", "strokes", "2", "--force")
    assert "version 2 serves, promoted by force (watch); previous 1 does 50% of the work" in forced.output
    listed = await run("promotions")
    assert "previous 1, 50%" in listed.output
    assert '"champion": 2' in (await run("promotions", "strokes", "--json")).output
    withdrawn = await run("withdraw", "strokes")
    assert "version 1 serves (steady)" in withdrawn.output
    assert "version 2 rolled back: withdrawn" in withdrawn.output
    told = CliRunner().invoke(cli, ["generator", "promote", "--help"]).output
    assert "aigc generator promote digits 3 " in told
