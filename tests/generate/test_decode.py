from __future__ import annotations

import json
import random
import re
import threading
import time

import pytest
import torch

from aigc.errors import InvalidInputError, ResourceExhaustedError, UnavailableError
from aigc.generate.decode import EngineLimits, TextEngine
from aigc.generate.emission import Emission
from aigc.generate.text_request import TextRequest
from tests.generate.text_models import complete, engine, read, small_gpt, tokenizer

GPT = small_gpt()
PIECES = GPT.tokenizer


@pytest.fixture
def running():
    made = engine(GPT)
    yield made
    made.close()


def naive(prompt: str, length: int) -> list[int]:
    """Greedy, without a cache."""
    tokens = PIECES.encode(prompt)
    drawn: list[int] = []
    banned = [t for t in PIECES.special if t != PIECES.end]
    for _ in range(length):
        with torch.no_grad():
            logits = GPT.network(torch.tensor([tokens + drawn]))[0, -1]
        logits[banned] = float("-inf")
        drawn.append(int(logits.argmax()))
        if drawn[-1] == PIECES.end:
            return drawn[:-1]
    return drawn


def test_greedy_text_is_that_of_the_plain_model(running: TextEngine) -> None:
    for prompt in ("床前明月光", "The quick", "你"):
        _, tokens, _ = complete(running, TextRequest(prompt, max_tokens=25, temperature=0))
        assert list(tokens) == naive(prompt, 25)


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_a_text_depends_on_its_own_seed_alone(running: TextEngine, temperature: float) -> None:
    wanted = TextRequest("白日依山盡", max_tokens=40, temperature=temperature, top_p=0.95, seed=11)
    alone = complete(running, wanted)
    source = random.Random(0)
    crowd = [
        running.submit(TextRequest("白日" * source.randint(1, 9), max_tokens=source.randint(1, 60), seed=i, n=2))
        for i in range(6)
    ]
    assert complete(running, wanted) == alone
    for stream in crowd:
        read(stream)
    # Once more, now that slots hold beginnings of other texts, and in an engine of another size.
    assert complete(running, wanted) == alone
    other = engine(GPT, slots=1)
    assert complete(other, wanted) == alone
    other.close()


def test_text_i_of_a_request_is_that_of_its_own_seed(running: TextEngine) -> None:
    several = read(running.submit(TextRequest("abc", max_tokens=12, seed=5, n=3)))
    for i in range(3):
        assert several[i] == complete(running, TextRequest("abc", max_tokens=12, seed=5 + i))
    assert len({text for text, _, _ in several.values()}) == 3


def test_a_prompts_known_beginning_is_not_computed_again(running: TextEngine) -> None:
    prompt = "The quick brown fox jumps over the lazy dog. " * 2
    first = complete(running, TextRequest(prompt, max_tokens=5, temperature=0))
    taken = running.counters.prompt_tokens
    assert complete(running, TextRequest(prompt, max_tokens=5, temperature=0)) == first
    assert running.counters.prompt_tokens - taken == 1
    # While it runs in another slot too.
    stream = running.submit(TextRequest(prompt, max_tokens=50, seed=1))
    next(iter(stream))
    longer = running.counters.prompt_tokens
    complete(running, TextRequest(prompt + "x", max_tokens=5, temperature=0))
    assert running.counters.prompt_tokens - longer <= 3
    read(stream)


def test_pieces_are_whole_characters_and_join_to_the_text(running: TextEngine) -> None:
    for seed in range(8):
        chunks = list(running.submit(TextRequest("你好🙂", max_tokens=60, temperature=1.3, seed=seed)))
        text = "".join(chunk.text for chunk in chunks)
        tokens = [t for chunk in chunks for t in chunk.token_ids]
        # What the whole bytes say, but for a character that never became whole.
        assert PIECES.decode(tokens).startswith(text)
        assert len(PIECES.decode(tokens)) - len(text) <= 1
        assert all(chunk.finish_reason is None for chunk in chunks[:-1])


def test_a_character_of_several_tokens_comes_in_one_piece() -> None:
    pieces = tokenizer(270)
    tokens = pieces.encode("龘🙂")
    emission = Emission(pieces)
    shown = [emission.chunk(0).text for token in tokens if emission.add(token)]
    assert len(tokens) > 2
    assert shown == ["龘", "🙂"]


def test_stop_texts_end_a_text_and_are_not_part_of_it(running: TextEngine) -> None:
    free, _, _ = complete(running, TextRequest("The", max_tokens=40, temperature=0))
    stop = free[10:14]
    text, _, why = complete(running, TextRequest("The", max_tokens=40, temperature=0, stop=[stop, "\0"]))
    assert (text, why) == (free[: free.index(stop)], "stop")


def test_the_beginning_of_a_stop_text_is_held_back_until_it_is_sure() -> None:
    emission = Emission(PIECES, ["STOP"])
    shown = ""
    for token in PIECES.encode("a STa STOP b"):
        if emission.add(token):
            shown += emission.chunk(0).text
            assert "STO" not in shown
        if emission.stopped:
            break
    assert shown + emission.last(0, "stop").text == "a STa "


def test_cancelling_frees_the_slot_within_one_step() -> None:
    made = engine(GPT, slots=1)
    stream = made.submit(TextRequest("x", max_tokens=90, seed=3))
    next(iter(stream))
    stream.cancel()
    before = made.counters.steps
    chunks = list(stream)
    assert chunks[-1].finish_reason == "cancelled"
    assert made.counters.steps <= before + 1
    assert made.counters.active == 0
    made.close()


def test_a_deadline_ends_running_and_waiting_texts() -> None:
    made = engine(GPT, slots=1, limits=EngineLimits(queue=8))
    past = time.monotonic() - 1
    first = made.submit(TextRequest("x", max_tokens=90), past)
    second = made.submit(TextRequest("x", max_tokens=90), past)
    assert {read(s)[0][2] for s in (first, second)} == {"deadline"}
    assert made.counters.active == made.counters.waiting == 0
    made.close()


def test_two_hundred_streams_half_of_them_cancelled_leave_nothing_behind() -> None:
    made = engine(GPT, slots=8)
    threads = threading.active_count()
    source = random.Random(1)
    reasons: list[str | None] = []

    def call(i: int, cancels: bool) -> None:
        stream = made.submit(TextRequest("床前" * (1 + i % 5), max_tokens=40, seed=i))
        for n, chunk in enumerate(stream):
            if cancels and n == i % 7:
                stream.cancel()
            if chunk.finish_reason:
                reasons.append(chunk.finish_reason)

    callers = [threading.Thread(target=call, args=(i, source.random() < 0.5)) for i in range(200)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    counters = made.counters
    assert (len(reasons), counters.finished, counters.active, counters.waiting) == (200, 200, 0, 0)
    assert "cancelled" in reasons
    assert threading.active_count() == threads
    assert sorted(made._free) == list(range(8))
    made.close()


def test_a_schema_and_an_expression_are_kept(running: TextEngine) -> None:
    schema = {
        "type": "object",
        "properties": {"mood": {"enum": ["好", "坏"]}, "sure": {"type": "boolean"}},
        "required": ["mood", "sure"],
        "additionalProperties": False,
    }
    for seed in range(3):
        text, _, why = complete(
            running, TextRequest("x", max_tokens=60, json_schema=schema, seed=seed, temperature=2.0)
        )
        assert set(json.loads(text)) == {"mood", "sure"}
        assert why == "stop"
        text, _, _ = complete(running, TextRequest("x", max_tokens=60, regex=r"[a-c]{3}-[0-9]{2}", seed=seed))
        assert re.fullmatch(r"[a-c]{3}-[0-9]{2}", text)


@pytest.mark.parametrize(
    ("wanted", "field"),
    [
        ({"regex": "["}, "regex"),
        ({"json_schema": "{"}, "json_schema"),
        ({"json_schema": {"type": "nonsense"}}, "json_schema"),
        ({"max_tokens": 5000}, "max_tokens"),
        ({"n": 17}, "n"),
        ({"stop": ["x"] * 17}, "stop"),
        ({"prompt": "x y " * 200}, "prompt"),
        ({"prompt": "", "turns": ["x y " * 200]}, "turns"),
        ({"prompt": "", "prompt_tokens": [100_000]}, "prompt_tokens"),
    ],
)
def test_a_request_beyond_the_limits_names_its_field(running: TextEngine, wanted: dict, field: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        running.submit(TextRequest(**({"prompt": "x"} | wanted)))
    assert caught.value.field == field
    assert running.counters.waiting == running.counters.active == 0


def test_a_full_queue_refuses_and_says_when_to_come_back() -> None:
    made = engine(GPT, slots=1, limits=EngineLimits(queue=2))
    streams = []
    with pytest.raises(ResourceExhaustedError) as caught:
        while True:
            streams += [made.submit(TextRequest("x", max_tokens=90))]
    assert caught.value.retry_delay_ms > 0
    for stream in streams:
        stream.cancel()
    made.close()


def test_closing_cancels_what_runs_and_refuses_what_comes() -> None:
    made = engine(GPT)
    stream = made.submit(TextRequest("x", max_tokens=90))
    made.close()
    assert read(stream)[0][2] in ("cancelled", "length", "stop")
    with pytest.raises(UnavailableError):
        made.submit(TextRequest("x"))
    made.close()


def test_a_failing_model_tells_every_stream() -> None:
    made = engine(GPT)

    def broken(*_: object) -> torch.Tensor:
        raise RuntimeError("out of memory")

    made._decoder.forward = broken  # type: ignore[method-assign]
    stream = made.submit(TextRequest("x"))
    with pytest.raises(UnavailableError, match="out of memory"):
        read(stream)
    with pytest.raises(UnavailableError):
        made.submit(TextRequest("x"))
    made.close()
