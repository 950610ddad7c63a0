from __future__ import annotations

import asyncio
import json
import random
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import psutil
import pytest
import pytest_asyncio

from aigc.v1 import generation_pb2
from aigc.v1 import generation_service_pb2 as pb
from tests.server.failure import failure
from tests.server.generation import GenerationClient, add_small_models, generation_server

pytestmark = pytest.mark.asyncio(loop_scope="module")
PATIENCE_S = 120


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("writing")
    add_small_models(made)
    return made


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def client(home: Path) -> AsyncIterator[GenerationClient]:
    async with generation_server(home, slots=4, queue=256, tokens=200) as made:
        yield made


def stream(client: GenerationClient, **request: Any) -> Any:
    message = pb.GenerateTextRequest(**{"model": "writer", "prompt": "春眠", "max_tokens": 12} | request)
    return client.generation.GenerateText(message, timeout=PATIENCE_S)


async def read(client: GenerationClient, **request: Any) -> tuple[dict[int, str], list[pb.GenerateTextResponse]]:
    """Text by index, and the pieces."""
    texts: dict[int, str] = {}
    pieces = []
    async for piece in stream(client, **request):
        pieces.append(piece)
        texts[piece.index] = texts.get(piece.index, "") + piece.text
    return texts, pieces


async def test_a_text_comes_in_pieces_and_says_how_it_ended(client: GenerationClient) -> None:
    _, pieces = await read(client, seed=3, logprobs=True)
    assert pieces[0].model == "writer@1"
    assert pieces[0].seed == 3
    last = pieces[-1]
    assert last.finish_reason in (generation_pb2.FINISH_REASON_LENGTH, generation_pb2.FINISH_REASON_STOP)
    assert 0 < last.completion_tokens <= 12
    tokens = [token for piece in pieces for token in piece.tokens]
    assert len(tokens) == last.completion_tokens
    assert all(token.logprob <= 0 for token in tokens)


async def test_a_seed_gives_the_same_text_alone_and_beside_others(client: GenerationClient) -> None:
    alone, _ = await read(client, seed=11)
    together = await asyncio.gather(*(read(client, seed=seed) for seed in range(8, 14)))
    assert together[3][0] == alone
    several, pieces = await read(client, seed=8, n=6)
    assert [several[i] for i in range(6)] == [texts[0] for texts, _ in together]
    assert {p.index: p.seed for p in pieces if p.model} == {i: 8 + i for i in range(6)}


async def test_without_a_seed_the_server_draws_one_and_tells(client: GenerationClient) -> None:
    text, pieces = await read(client)
    again, _ = await read(client, seed=pieces[0].seed)
    assert again == text


async def test_greedy_needs_no_seed(client: GenerationClient) -> None:
    first, _ = await read(client, temperature=0.0, seed=1)
    second, _ = await read(client, temperature=0.0, seed=2)
    assert first == second


async def test_a_regular_expression_and_a_schema_hold(client: GenerationClient) -> None:
    texts, _ = await read(client, regex=r"[0-9]{3}-[a-z]{2}", seed=1, max_tokens=40)
    assert re.fullmatch(r"[0-9]{3}-[a-z]{2}", texts[0])
    schema = {
        "type": "object",
        "properties": {"ok": {"type": "boolean"}},
        "required": ["ok"],
        "additionalProperties": False,
    }
    texts, _ = await read(client, json_schema=json.dumps(schema), seed=1, max_tokens=150)
    assert isinstance(json.loads(texts[0])["ok"], bool)


async def test_processing_is_told_beside_the_text(client: GenerationClient) -> None:
    texts, pieces = await read(client, seed=5, processing=generation_pb2.TextProcessing(whitespace=True))
    assert pieces[-1].processing
    assert pieces[-1].processed_text == pieces[-1].processed_text.strip()
    assert texts[0]


@pytest.mark.parametrize(
    ("request_fields", "field"),
    [
        ({"prompt": None}, "prompt"),
        ({"max_tokens": 201}, "max_tokens"),
        ({"max_tokens": -1}, "max_tokens"),
        ({"temperature": float("nan")}, "temperature"),
        ({"top_p": 0.0}, "top_p"),
        ({"min_p": 1.5}, "min_p"),
        ({"n": 17}, "n"),
        ({"stop": [""]}, "stop"),
        ({"seed": 2**63}, "seed"),
        ({"regex": "("}, "regex"),
        ({"json_schema": "{"}, "json_schema"),
        ({"prompt": "春" * 200}, "prompt"),
        ({"chat": generation_pb2.Chat(turns=[]), "prompt": None}, "chat.turns"),
        (
            {"chat": generation_pb2.Chat(turns=[generation_pb2.ChatTurn(role="system", text="x")]), "prompt": None},
            "chat.turns[0].role",
        ),
        ({"model": "strokes"}, "model"),
    ],
)
async def test_a_wrong_field_is_named(client: GenerationClient, request_fields: dict[str, Any], field: str) -> None:
    failed = await failure(read(client, **request_fields))
    assert (failed.code, failed.field) == (grpc.StatusCode.INVALID_ARGUMENT, field)


async def test_a_deadline_ends_the_text(client: GenerationClient) -> None:
    call = client.generation.GenerateText(
        pb.GenerateTextRequest(model="writer", prompt="春", max_tokens=200, n=16), timeout=0.02
    )

    async def drain() -> None:
        async for _ in call:
            pass

    assert (await failure(drain())).code == grpc.StatusCode.DEADLINE_EXCEEDED


async def test_two_hundred_streams_half_of_them_left_leave_nothing_behind(client: GenerationClient) -> None:
    """No slot, thread or memory stays with callers who left at random."""
    choose = random.Random(0)
    await read(client, seed=1)
    process = psutil.Process(client.app.generator.pid)

    async def one(seed: int, leave_after: int) -> bool:
        call = stream(client, seed=seed, max_tokens=20, temperature=1.0)
        got = 0
        async for _ in call:
            got += 1
            if got == leave_after:
                call.cancel()
                return False
        return True

    async def wave(base: int) -> list[bool]:
        leavers = {i: choose.randint(1, 4) for i in choose.sample(range(200), 100)}
        return list(await asyncio.gather(*(one(base + i, leavers.get(i, 0)) for i in range(200))))

    assert sum(await wave(0)) >= 100
    threads, memory = process.num_threads(), process.memory_info().rss
    for round_ in range(1, 3):
        await wave(round_ * 1000)
    # The pool that opens streams grows with the crowd, to a limit; a thread a stream would be 400.
    assert process.num_threads() <= threads + 30
    assert process.memory_info().rss < memory + 40_000_000
    # Every slot works still: more texts than slots, all of them whole.
    results = await asyncio.gather(*(read(client, seed=seed) for seed in range(8)))
    assert all(pieces[-1].finish_reason for _, pieces in results)
