from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence

import pytest
import torch
from torch import Tensor

from aigc.generate.decode import EngineLimits, TextEngine
from aigc.generate.decoder import Decoder, KernelDecoder
from aigc.generate.gpt import GptGenerator
from aigc.generate.text_request import TextRequest
from tests.generate.small_text import Answer, read, small_gpt, small_tokenizer

PATIENCE_S = 60.0
PROMPTS = ["春眠不觉晓，", "The quick brown", "", "夜来风雨声，花落", "😀", "dog. " * 5]


@pytest.fixture(scope="module")
def writer() -> GptGenerator:
    return small_gpt()


@pytest.fixture(scope="module")
def engine(writer: GptGenerator) -> Iterator[TextEngine]:
    made = writer.engine(4, EngineLimits())
    yield made
    made.close()


def write(engine: TextEngine, request: TextRequest) -> Answer:
    return read(engine.submit(request))[0]


class Gate:
    """A decoder that takes a step only when told to: what happens between two steps is then no matter of luck."""

    def __init__(self, decoder: Decoder) -> None:
        self.decoder = decoder
        self.slots, self.context, self.vocabulary_size = decoder.slots, decoder.context, decoder.vocabulary_size
        self.steps = 0
        self.rows: list[int] = []
        self._allowed = threading.Semaphore(0)
        self._waits = threading.Semaphore(0)

    def forward(
        self, slots: Sequence[int], tokens: Sequence[int], positions: Sequence[int], wanted: Sequence[int]
    ) -> Tensor:
        self.rows.append(len(slots))
        self._waits.release()
        assert self._allowed.acquire(timeout=PATIENCE_S)
        self.steps += 1
        return self.decoder.forward(slots, tokens, positions, wanted)

    def copy(self, source: int, target: int, length: int) -> None:
        self.decoder.copy(source, target, length)

    def entered(self) -> None:
        """Wait until the engine stands before a step."""
        assert self._waits.acquire(timeout=PATIENCE_S)

    def step(self) -> None:
        self._allowed.release()

    def open(self) -> None:
        for _ in range(10_000):
            self._allowed.release()


@pytest.fixture
def gate(writer: GptGenerator) -> Gate:
    return Gate(KernelDecoder(writer.network, 2, 1))


@pytest.fixture
def gated(gate: Gate) -> Iterator[TextEngine]:
    made = TextEngine(gate, small_tokenizer(), EngineLimits(queue=3), endless=True)
    yield made
    gate.open()
    made.close()


@torch.no_grad()
def test_greedy_text_is_what_the_model_itself_finds_likeliest(writer: GptGenerator, engine: TextEngine) -> None:
    tokens = writer.tokenizer.encode("The quick")
    answer = write(engine, TextRequest("The quick", temperature=0, max_tokens=12, logprobs=True))
    for token, logprob in zip(answer.tokens, answer.logprobs, strict=True):
        odds = torch.log_softmax(writer.network(torch.tensor([tokens]))[0, -1], -1)
        odds[[t for t in writer.tokenizer.special if t != writer.tokenizer.end]] = -torch.inf
        assert token == int(odds.argmax())
        assert logprob == pytest.approx(odds[token].item(), abs=2e-3)
        tokens.append(token)


def test_threads_change_no_bit(writer: GptGenerator, engine: TextEngine) -> None:
    other = TextEngine(KernelDecoder(writer.network, 3, 3), writer.tokenizer)
    request = TextRequest("春眠", seed=9, max_tokens=20, logprobs=True)
    assert write(other, request) == write(engine, request)
    other.close()


def test_pieces_are_whole_characters_and_make_up_the_text(writer: GptGenerator, engine: TextEngine) -> None:
    answers = read(engine.submit(TextRequest("春", n=8, seed=1, max_tokens=40, temperature=1.5)))
    for answer in answers:
        # Bytes that never became a character at the very end are left out.
        assert writer.tokenizer.decode(answer.tokens).startswith(answer.text)
        assert "".join(answer.pieces) == answer.text
    # A constraint makes the model write characters of three bytes each.
    answer = write(engine, TextRequest("春", regex="[\u9f00-\u9fa0]{6}", max_tokens=40))
    assert len(answer.tokens) > 6
    assert [p for p in answer.pieces if p] == list(answer.text)


def test_the_context_ends_a_text_that_asks_for_more(writer: GptGenerator, engine: TextEngine) -> None:
    prompt = writer.tokenizer.encode("春眠")
    found = [read(engine.submit(TextRequest("春眠", seed=s, max_tokens=500)))[0] for s in range(4)]
    assert any(a.reason == "length" for a in found)
    assert all(len(a.tokens) == 64 - len(prompt) for a in found if a.reason == "length")


def test_a_beginning_that_a_slot_holds_is_reused_and_changes_nothing(writer: GptGenerator) -> None:
    request = TextRequest("The quick brown fox jumps over the lazy", seed=4, max_tokens=10, logprobs=True)
    engine = writer.engine(2, EngineLimits())
    first = write(engine, request)
    assert engine.counters.reused_tokens == 0
    assert write(engine, request) == first
    length = len(writer.tokenizer.encode(request.prompt))
    assert engine.counters.reused_tokens == length - 1
    # The texts of one request share their prompt's keys, though the slots differ.
    answers = read(engine.submit(TextRequest(request.prompt, seed=4, n=2, max_tokens=10, logprobs=True)))
    assert answers[0] == first
    assert engine.counters.reused_tokens == 3 * (length - 1)
    engine.close()


def test_a_dialogue_model_takes_a_prompt_for_a_user_s_turn(writer: GptGenerator) -> None:
    talker = GptGenerator(writer.network, writer.tokenizer, dialogue=True)
    engine = talker.engine(2, EngineLimits())
    tokens = writer.tokenizer.chat(["你好"])
    plain = read(engine.submit(TextRequest(prompt_tokens=tokens, temperature=0, max_tokens=8)))
    assert read(engine.submit(TextRequest("你好", temperature=0, max_tokens=8))) == plain
    assert read(engine.submit(TextRequest(turns=["你好"], temperature=0, max_tokens=8))) == plain
    engine.close()


def test_a_request_joins_a_running_batch_and_leaves_it(gate: Gate, gated: TextEngine) -> None:
    long = gated.submit(TextRequest("春", max_tokens=6))
    gate.entered()
    short = gated.submit(TextRequest("dog", max_tokens=1))
    gate.step()
    gate.entered()
    assert gated.counters.active == 2
    gate.step()
    gate.entered()
    assert gated.counters.active == 1
    assert read(short)[0].reason == "length"
    gate.open()
    assert len(read(long)[0].tokens) == 6


def test_a_long_prompt_is_taken_in_in_pieces_beside_the_running_texts(writer: GptGenerator) -> None:
    big = small_gpt(context=400)
    gate = Gate(KernelDecoder(big.network, 2, 1))
    engine = TextEngine(gate, big.tokenizer, endless=True)
    running = engine.submit(TextRequest(prompt_tokens=[7], max_tokens=50))
    gate.entered()
    late = engine.submit(TextRequest(prompt_tokens=[9] * 200, max_tokens=1))
    gate.open()
    assert len(read(running)[0].tokens) == 50
    assert read(late)[0].reason == "length"
    assert max(gate.rows) <= 65
    assert sum(gate.rows) == 50 + 200
    engine.close()


def test_a_text_that_waits_can_be_cancelled_too(gate: Gate, gated: TextEngine) -> None:
    running = gated.submit(TextRequest("春", max_tokens=50, n=2))
    gate.entered()
    waiting = gated.submit(TextRequest("dog"))
    waiting.cancel()
    gate.step()
    assert read(waiting)[0].reason == "cancelled"
    assert gated.counters.waiting == 0
    running.cancel()


def test_a_listener_is_woken_whenever_there_is_something_to_take(engine: TextEngine) -> None:
    woken = threading.Semaphore(0)
    stream = engine.submit(TextRequest("春", max_tokens=20, seed=3))
    stream.listen(woken.release)
    chunks = []
    while True:
        assert woken.acquire(timeout=PATIENCE_S)
        taken = stream.take()
        if taken is None:
            break
        chunks += taken
        if taken and taken[-1].finish_reason:
            break
    assert stream.take() is None
    assert read(chunks)[0] == write(engine, TextRequest("春", max_tokens=20, seed=3))
