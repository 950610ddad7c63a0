from __future__ import annotations

import asyncio
import io
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import pytest
import pytest_asyncio
from grpc_health.v1 import health_pb2, health_pb2_grpc
from PIL import Image

from aigc.v1 import generation_pb2, model_service_pb2
from aigc.v1 import generation_service_pb2 as pb
from tests.server.failure import failure
from tests.server.generation import GenerationClient, add_small_models, generation_server


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("generation")
    add_small_models(made)
    return made


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def client(home: Path) -> AsyncIterator[GenerationClient]:
    async with generation_server(home, images=40, queue=4) as made:
        yield made


pytestmark = pytest.mark.asyncio(loop_scope="module")
PATIENCE_S = 60


async def images(client: GenerationClient, **request: object) -> pb.GenerateImagesResponse:
    return await client.generation.GenerateImages(
        pb.GenerateImagesRequest(**{"model": "strokes"} | request), timeout=PATIENCE_S
    )


async def test_pictures_come_as_png_and_say_what_they_were_made_from(client: GenerationClient) -> None:
    answer = await images(client, n=3, classes=["upright"])
    assert answer.model == "strokes@1"
    assert {i.label for i in answer.images} == {"upright"}
    assert len({i.seed for i in answer.images}) == 3
    picture = Image.open(io.BytesIO(answer.images[0].png))
    assert picture.size == (8, 8)
    assert len(answer.images[0].latent.values) == 8
    assert 0 <= answer.images[0].quality <= 1


async def test_a_seed_gives_the_same_bytes_alone_and_among_others(client: GenerationClient) -> None:
    many = await images(client, seeds=list(range(20)))
    alone = await images(client, seeds=[17])
    assert alone.images[0].png == many.images[17].png


async def test_latents_come_back_as_they_went_out(client: GenerationClient) -> None:
    first = await images(client, seeds=[5], classes=["level"])
    again = await images(client, seeds=[99], classes=["level"], latents=[first.images[0].latent])
    assert again.images[0].png == first.images[0].png


async def test_numbers_instead_of_png_and_processing_that_says_what_it_did(client: GenerationClient) -> None:
    request = {"seeds": [5], "format": generation_pb2.IMAGE_FORMAT_TENSOR}
    tensor = (await images(client, **request)).images[0].tensor
    assert list(tensor.shape) == [8, 8, 1]
    assert 0 <= min(tensor.values) <= max(tensor.values) <= 1
    large = (await images(client, seeds=[5], processing=generation_pb2.ImageProcessing(upscale=4))).images[0]
    assert (large.width, large.height) == (32, 32)
    assert any("×4" in note for note in large.processing)


@pytest.mark.parametrize(
    ("request_fields", "field"),
    [
        ({"model": ""}, "model"),
        ({"model": "../../etc/passwd"}, "model"),
        ({"n": -1}, "n"),
        ({"n": 41}, "n"),
        ({"n": 3, "seeds": [1, 2]}, "seeds"),
        ({"classes": ["sideways"]}, "classes[0]"),
        ({"truncation": 0.0}, "truncation"),
        ({"truncation": float("nan")}, "truncation"),
        ({"latents": [generation_pb2.Latent(values=[1.0])]}, "latents"),
        ({"latents": [generation_pb2.Latent(values=[float("inf")] * 8)]}, "latents"),
        ({"processing": generation_pb2.ImageProcessing(upscale=3)}, "processing.upscale"),
    ],
)
async def test_a_wrong_field_is_named(client: GenerationClient, request_fields: dict[str, object], field: str) -> None:
    failed = await failure(images(client, **request_fields))
    assert failed.code == grpc.StatusCode.INVALID_ARGUMENT
    assert failed.field == field


async def test_a_model_that_does_not_exist_is_named_with_those_that_do(client: GenerationClient) -> None:
    failed = await failure(images(client, model="faces"))
    assert failed.code == grpc.StatusCode.NOT_FOUND
    assert "there are: strokes" in failed.message
    assert failed.reason == "MODEL_NOT_FOUND"


async def test_a_gan_has_no_way_back_and_says_so(client: GenerationClient) -> None:
    failed = await failure(
        client.generation.Encode(pb.EncodeRequest(model="strokes", images=[b"x"]), timeout=PATIENCE_S)
    )
    assert failed.reason == "WRONG_MODEL_KIND"


async def test_models_are_listed_loaded_and_unloaded(client: GenerationClient) -> None:
    models = client.models
    loaded = await models.LoadModel(model_service_pb2.LoadModelRequest(model="strokes"), timeout=PATIENCE_S)
    assert loaded.model.loaded
    assert loaded.model.aliases == ["champion"]
    assert (await models.UnloadModel(model_service_pb2.UnloadModelRequest(model="strokes@1"))).model.loaded is False
    listed = await models.ListModels(model_service_pb2.ListModelsRequest())
    assert [(m.name, m.version, m.kind) for m in listed.models] == [("strokes", 1, "gan"), ("writer", 1, "gpt")]
    await models.SetModelAlias(model_service_pb2.SetModelAliasRequest(model="strokes@1", alias="candidate"))
    assert (await images(client, model="strokes@candidate", n=1)).model == "strokes@1"
    await models.DeleteModelAlias(model_service_pb2.DeleteModelAliasRequest(name="strokes", alias="candidate"))
    failed = await failure(models.DeleteModel(model_service_pb2.DeleteModelRequest(model="strokes@1")))
    assert failed.code == grpc.StatusCode.FAILED_PRECONDITION


async def test_a_deadline_that_passed_is_told_as_one(client: GenerationClient) -> None:
    failed = await failure(
        client.generation.GenerateImages(pb.GenerateImagesRequest(model="strokes", n=40), timeout=0.0005)
    )
    assert failed.code == grpc.StatusCode.DEADLINE_EXCEEDED


async def test_the_generator_killed_is_told_and_started_again(client: GenerationClient) -> None:
    health = health_pb2_grpc.HealthStub(client.channel)
    name = "aigc.v1.GenerationService"
    watch = health.Watch(health_pb2.HealthCheckRequest(service=name))
    assert (await watch.read()).status == health_pb2.HealthCheckResponse.SERVING
    await images(client, n=1)
    calls = [asyncio.ensure_future(images(client, n=40)) for _ in range(3)]
    await asyncio.sleep(0)
    os.kill(client.app.generator.pid, signal.SIGKILL)
    for result in await asyncio.gather(*calls, return_exceptions=True):
        if isinstance(result, BaseException):
            failed = await failure(_raise(result))
            assert (failed.code, failed.reason) == (grpc.StatusCode.UNAVAILABLE, "GENERATOR_DOWN")
    assert (await watch.read()).status == health_pb2.HealthCheckResponse.NOT_SERVING
    assert (await watch.read()).status == health_pb2.HealthCheckResponse.SERVING
    assert len((await images(client, n=2)).images) == 2
    watch.cancel()


async def test_generation_switched_off_is_said(tmp_path: Path) -> None:
    async with generation_server(tmp_path, enabled=False) as off:
        failed = await failure(images(off))
        assert failed.reason == "GENERATION_OFF"
        assert off.app.generator.pid == 0


async def _raise(error: BaseException) -> None:
    raise error
