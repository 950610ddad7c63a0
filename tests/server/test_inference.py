"""The Open Inference Protocol, by NVIDIA's own client where it is installed, and by our stubs."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
import pytest_asyncio

from aigc.generate.bert import BertGenerator
from aigc.generate.repository import ModelRepository
from aigc.generate.tokenizer import TextTokenizer
from aigc.generate.transformer import TransformerOptions
from aigc.generate.vae_generator import VaeGenerator
from aigc.generate.vae_task import VaeTask
from aigc.oip import inference_pb2 as pb
from aigc.oip import inference_pb2_grpc as pb_grpc
from aigc.v1 import recommendation_service_pb2, recommendation_service_pb2_grpc
from tests.conftest import ROOT
from tests.generate.test_vae import small, strokes
from tests.server.conftest import copy_home
from tests.server.failure import failure
from tests.server.generation import GenerationClient, add_small_models, generation_server

pytestmark = pytest.mark.asyncio(loop_scope="module")
PATIENCE_S = 60
TRITON = ROOT / ".tools" / "triton" / "bin" / "python"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, trained_home: Path) -> Path:
    made = tmp_path_factory.mktemp("inference") / "home"
    copy_home(trained_home, made)
    add_small_models(made)
    repository = ModelRepository(made / "models")
    tokenizer = TextTokenizer.characters(["春眠不觉晓", "The quick brown fox"])
    shape = TransformerOptions(len(tokenizer), context=32, layers=1, heads=2, width=32)
    repository.add("encoder", BertGenerator.fresh(shape, tokenizer))
    data = strokes(32, 0)
    task = VaeTask(data, data, small())
    repository.add("codes", VaeGenerator.from_task(task, task.modules))
    return made


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def client(home: Path) -> AsyncIterator[GenerationClient]:
    async with generation_server(home, texts=4) as made:
        yield made


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def triton(client: GenerationClient) -> dict[str, Any]:
    """What NVIDIA's client saw."""
    if not TRITON.exists():
        pytest.skip("needs tritonclient in an environment of its own (make tools)")
    process = await asyncio.create_subprocess_exec(
        TRITON,
        ROOT / "tests" / "server" / "triton_client.py",
        f"127.0.0.1:{client.app.port}",
        stdout=asyncio.subprocess.PIPE,
    )
    out, _ = await process.communicate()
    assert process.returncode == 0
    return dict(json.loads(out))


async def test_triton_finds_the_server_alive_and_its_models_listed(triton: dict[str, Any]) -> None:
    assert triton["live"] is triton["ready"] is True
    assert triton["server"]["name"] == "aigc"
    listed = {(m["name"], m["version"]) for m in triton["index"]}
    assert listed == {(n, "1") for n in ("codes", "encoder", "recommender", "strokes", "writer")}


async def test_triton_loads_and_unloads(triton: dict[str, Any]) -> None:
    assert (triton["ready before"], triton["ready after"], triton["ready at last"]) == (False, True, False)


async def test_metadata_says_what_each_kind_takes_and_gives(triton: dict[str, Any]) -> None:
    told = {
        name: [{t["name"]: (t["datatype"], t["shape"]) for t in model[way]} for way in ("inputs", "outputs")]
        for name, model in triton["metadata"].items()
    }
    assert told["recommender"][0] == {"user_id": ("BYTES", ["-1"]), "n": ("INT32", ["-1"])}
    assert told["recommender"][1]["score"] == ("FP32", ["-1", "-1"])
    assert told["strokes"][0]["latent"] == ("FP32", ["-1", "8"])
    assert told["strokes"][1]["image"] == ("UINT8", ["-1", "8", "8", "1"])
    assert told["writer"][0]["prompt"] == ("BYTES", ["-1"])
    assert told["encoder"][1]["embedding"] == ("FP32", ["-1", "32"])


async def test_triton_gets_the_lists_that_recommend_gives(client: GenerationClient, triton: dict[str, Any]) -> None:
    lists = triton["lists"]
    assert (lists["id"], lists["scores"], lists["count"]) == ("r1", "float32", [5, 5])
    stub: Any = recommendation_service_pb2_grpc.RecommendationServiceStub(client.channel)
    for user, items in zip(("space-fan-0", "陌生人"), lists["items"], strict=True):
        answer = await stub.Recommend(recommendation_service_pb2.RecommendRequest(user_id=user, n=5))
        assert [item.item_id for item in answer.items] == items
    assert all(lists["answer"])


async def test_triton_gets_pictures(triton: dict[str, Any]) -> None:
    assert triton["pictures"] == {
        "shape": [3, 8, 8, 1],
        "dtype": "uint8",
        "pixels": "float32",
        "agree": True,
        "classes": ["upright", "level", "level"],
        "same alone": True,
    }


async def test_triton_gets_texts_and_embeddings(triton: dict[str, Any]) -> None:
    texts = triton["texts"]
    assert texts["alone"] == texts["texts"][0]
    assert all(0 < tokens <= 8 for tokens in texts["tokens"])
    assert set(texts["reasons"]) <= {"length", "stop"}
    assert triton["embedding"] == {"shape": [3, 32], "lengths": [1.0, 1.0, 0.0]}
    assert triton["async"] == 1


@pytest.mark.parametrize(
    ("what", "code", "words"),
    [
        ("model", "NOT_FOUND", "'nobody' does not exist; there are: codes"),
        ("version", "NOT_FOUND", "no version or alias '9'"),
        ("input name", "INVALID_ARGUMENT", "input 'user' is unknown; this model takes user_id, n"),
        ("input missing", "INVALID_ARGUMENT", "input 'prompt' is missing; give BYTES of shape [-1]"),
        ("input shape", "INVALID_ARGUMENT", "input 'user_id' has shape [1, 1]; give [-1]"),
        ("latent shape", "INVALID_ARGUMENT", "input 'latent' has shape [1, 3]; give [-1, 8]"),
        ("input dtype", "INVALID_ARGUMENT", "input 'class' is of datatype FP32; give BYTES"),
        ("rows", "INVALID_ARGUMENT", "input 'class' has 2 rows where 'seed' has 3"),
        ("class", "INVALID_ARGUMENT", "sideways"),
        ("output", "INVALID_ARGUMENT", "output 'picture' is unknown; this model gives image"),
        ("parameter", "INVALID_ARGUMENT", "parameter 'max_token' is unknown; this model takes max_tokens"),
        ("parameter type", "INVALID_ARGUMENT", "parameter 'max_tokens' is 'many'; give a whole number"),
        ("load", "NOT_FOUND", "'nobody' does not exist"),
        ("config", "INVALID_ARGUMENT", "parameter 'config' is unknown"),
        ("unload", "FAILED_PRECONDITION", "recommender"),
        ("utf-8", "INVALID_ARGUMENT", "input 'user_id' has b'\\xff', which is no UTF-8"),
    ],
)
async def test_triton_is_told_what_is_wrong(triton: dict[str, Any], what: str, code: str, words: str) -> None:
    told = triton["errors"][what]
    assert told.startswith(f"StatusCode.{code}: ")
    assert words in told


async def test_every_field_is_tritons_own(triton: dict[str, Any]) -> None:
    for outer in pb.DESCRIPTOR.message_types_by_name.values():
        for message in (outer, *outer.nested_types):
            theirs = triton["wire"][message.full_name]
            for field in message.fields:
                assert theirs[field.name] == [field.number, field.type, field.is_repeated], field.full_name


async def infer(client: GenerationClient, **request: Any) -> pb.ModelInferResponse:
    stub: Any = pb_grpc.GRPCInferenceServiceStub(client.channel)
    return await stub.ModelInfer(pb.ModelInferRequest(**request), timeout=PATIENCE_S)


async def test_pictures_become_points_and_points_pictures(client: GenerationClient) -> None:
    made = await infer(client, model_name="codes", parameters={"n": pb.InferParameter(int64_param=2)})
    given = {o.name: (o, raw) for o, raw in zip(made.outputs, made.raw_output_contents, strict=True)}
    (image, pixels), (latent, z) = given["image"], given["latent"]
    assert list(image.shape) == [2, 8, 8, 1]
    there = await infer(
        client,
        model_name="codes",
        inputs=[{"name": "image", "datatype": "UINT8", "shape": image.shape}],
        raw_input_contents=[pixels],
    )
    assert [o.name for o in there.outputs] == ["latent"]
    scaled = (np.frombuffer(pixels, np.uint8) / 255).astype(np.float32)
    as_numbers = await infer(
        client,
        model_name="codes",
        inputs=[{"name": "image", "datatype": "FP32", "shape": image.shape, "contents": {"fp32_contents": scaled}}],
    )
    assert as_numbers.raw_output_contents == there.raw_output_contents
    back = await infer(
        client,
        model_name="codes",
        inputs=[{"name": "latent", "datatype": "FP32", "shape": latent.shape}],
        outputs=[{"name": "image"}],
        raw_input_contents=[z],
    )
    assert list(back.raw_output_contents) == [pixels]


TYPED = {"name": "user_id", "datatype": "BYTES", "shape": [1], "contents": {"bytes_contents": [b"space-fan-1"]}}


async def test_typed_contents_do_as_well_as_raw_ones(client: GenerationClient) -> None:
    n = {"name": "n", "datatype": "INT64", "shape": [1], "contents": {"int64_contents": [3]}}
    typed = await infer(client, model_name="recommender", inputs=[TYPED, n], outputs=[{"name": "item_id"}])
    raw = await infer(
        client,
        model_name="recommender",
        inputs=[
            {"name": "user_id", "datatype": "BYTES", "shape": [1]},
            {"name": "n", "datatype": "INT32", "shape": [1]},
        ],
        outputs=[{"name": "item_id"}],
        raw_input_contents=[b"\x0b\0\0\0space-fan-1", b"\3\0\0\0"],
    )
    assert typed.raw_output_contents == raw.raw_output_contents
    assert list(typed.outputs[0].shape) == [1, 3]


@pytest.mark.parametrize(
    ("request_fields", "field"),
    [
        ({"inputs": [TYPED], "raw_input_contents": [b"\1\0\0\0a", b""]}, "raw_input_contents"),
        ({"inputs": [TYPED], "raw_input_contents": [b"\1\0\0\0a"]}, "inputs[0].contents"),
        ({"inputs": [TYPED, TYPED]}, "inputs[1].name"),
        ({"inputs": [TYPED | {"contents": {}}], "raw_input_contents": []}, "inputs[0].contents"),
        ({"inputs": [TYPED | {"shape": [-1]}]}, "inputs[0].shape"),
        ({"inputs": [TYPED | {"shape": [1] * 9}]}, "inputs[0].shape"),
        ({"inputs": [TYPED | {"shape": [0], "contents": {}}]}, "inputs[0].shape"),
        ({"inputs": [TYPED | {"datatype": "TEXT"}]}, "inputs[0].datatype"),
        ({"inputs": [TYPED | {"contents": {"int_contents": [1]}}]}, "inputs[0].contents"),
        (
            {"inputs": [TYPED, {"name": "n", "datatype": "INT8", "shape": [1], "contents": {"int_contents": [300]}}]},
            "inputs[1].contents",
        ),
        (
            {
                "inputs": [{"name": "user_id", "datatype": "BYTES", "shape": [1]}],
                "raw_input_contents": [b"\xff\0\0\0a"],
            },
            "raw_input_contents[0]",
        ),
        (
            {"inputs": [{"name": "n", "datatype": "INT32", "shape": [2**62]}], "raw_input_contents": [b"\1\0\0\0"]},
            "raw_input_contents[0]",
        ),
        (
            {"inputs": [TYPED | {"parameters": {"shared_memory_region": pb.InferParameter(string_param="x")}}]},
            "inputs[0].parameters",
        ),
        ({"inputs": [TYPED], "parameters": {"diversity": pb.InferParameter(bool_param=True)}}, "parameters[diversity]"),
        ({"inputs": [TYPED], "outputs": [{"name": "title"}]}, "outputs[0].name"),
    ],
)
async def test_a_wrong_field_is_named(client: GenerationClient, request_fields: dict[str, Any], field: str) -> None:
    failed = await failure(infer(client, model_name="recommender", **request_fields))
    assert (failed.code, failed.field) == (grpc.StatusCode.INVALID_ARGUMENT, field)


async def test_more_texts_than_may_be_are_refused(client: GenerationClient) -> None:
    prompts = {"name": "prompt", "datatype": "BYTES", "shape": [5], "contents": {"bytes_contents": [b"a"] * 5}}
    failed = await failure(infer(client, model_name="writer", inputs=[prompts]))
    assert "asks for 5 texts; give 1 to 4" in failed.message


async def test_without_generators_the_recommender_is_all_there_is(trained_home: Path, tmp_path: Path) -> None:
    copy_home(trained_home, tmp_path / "home")
    async with generation_server(tmp_path / "home", enabled=False) as off:
        stub: Any = pb_grpc.GRPCInferenceServiceStub(off.channel)
        index = await stub.RepositoryIndex(pb.RepositoryIndexRequest(ready=True))
        assert [(m.name, m.state) for m in index.models] == [("recommender", "READY")]
        assert (await infer(off, model_name="recommender", inputs=[TYPED])).outputs
        assert (await failure(infer(off, model_name="writer", inputs=[TYPED]))).reason == "GENERATION_OFF"
