from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence

import pytest
import torch
from torch import Tensor

from aigc.errors import InvalidInputError, ResourceExhaustedError, UnavailableError
from aigc.generate.decode import EngineLimits, TextEngine
from aigc.generate.decoder import Decoder, KernelDecoder
from aigc.generate.gpt import GptGenerator
from aigc.generate.text_request import TextRequest
from aigc.generate.torch_decoder import TorchDecoder
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


@pytest.mark.parametrize("rules", [{"temperature": 0.0}, {}, {"top_p": 0.8, "repetition_penalty": 1.3}])
def test_a_text_is_the_same_to_the_bit_alone_and_in_a_batch(engine: TextEngine, rules: dict[str, float]) -> None:
    requests = [TextRequest(p, seed=i, max_tokens=20, logprobs=True, **rules) for i, p in enumerate(PROMPTS)]  # type: ignore[arg-type]
    alone = [write(engine, request) for request in requests]
    streams = [engine.submit(request) for request in requests * 2]
    together = [read(stream)[0] for stream in streams]
    assert [(a.text, a.tokens, a.logprobs) for a in together] == [(a.text, a.tokens, a.logprobs) for a in alone] * 2


def test_text_i_of_several_is_the_one_that_its_seed_alone_gives(engine: TextEngine) -> None:
    several = read(engine.submit(TextRequest("花", n=3, seed=5, max_tokens=15)))
    assert [a.text for a in several] == [
        write(engine, TextRequest("花", seed=5 + i, max_tokens=15)).text for i in range(3)
    ]
    assert len({a.text for a in several}) == 3


def test_threads_change_no_bit(writer: GptGenerator, engine: TextEngine) -> None:
    other = TextEngine(KernelDecoder(writer.network, 3, 3), writer.tokenizer)
    request = TextRequest("春眠", seed=9, max_tokens=20, logprobs=True)
    assert write(other, request) == write(engine, request)
    other.close()


def test_torch_decodes_the_same_greedy_text(writer: GptGenerator, engine: TextEngine) -> None:
    """What runs on a GPU, tried on the CPU."""
    other = TextEngine(TorchDecoder(writer.network, 3), writer.tokenizer)
    requests = [TextRequest(p, temperature=0, max_tokens=15) for p in PROMPTS]
    streams = [other.submit(request) for request in requests]
    assert [read(s)[0].tokens for s in streams] == [write(engine, r).tokens for r in requests]
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


def test_a_stop_text_ends_the_answer_even_across_tokens(writer: GptGenerator, engine: TextEngine) -> None:
    request = TextRequest("The", temperature=0.9, seed=2, max_tokens=30)
    whole = write(engine, request)
    stop = whole.text[7:10]
    assert len(stop) == 3
    stopped = write(engine, TextRequest("The", temperature=0.9, seed=2, max_tokens=30, stop=["never said", stop]))
    assert stopped.text == whole.text[: whole.text.index(stop)]
    assert stopped.reason == "stop"


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


def test_cancelling_frees_the_slot_within_one_step(gate: Gate, gated: TextEngine) -> None:
    first, second = (gated.submit(TextRequest("春", max_tokens=50, seed=i)) for i in range(2))
    gate.entered()
    third = gated.submit(TextRequest("dog", max_tokens=1))
    gate.step()
    gate.entered()
    assert (gated.counters.active, gated.counters.waiting) == (2, 1)
    first.cancel()
    gate.step()
    gate.entered()
    assert read(first)[0].reason == "cancelled"
    assert (gated.counters.active, gated.counters.waiting) == (2, 0)
    gate.open()
    assert read(third)[0].reason == "length"
    assert len(read(second)[0].tokens) == 50


def test_a_text_that_waits_can_be_cancelled_too(gate: Gate, gated: TextEngine) -> None:
    running = gated.submit(TextRequest("春", max_tokens=50, n=2))
    gate.entered()
    waiting = gated.submit(TextRequest("dog"))
    waiting.cancel()
    gate.step()
    assert read(waiting)[0].reason == "cancelled"
    assert gated.counters.waiting == 0
    running.cancel()


def test_a_full_queue_refuses_more_and_says_when_to_return(gate: Gate, gated: TextEngine) -> None:
    gated.submit(TextRequest("春", n=2, max_tokens=50))
    gate.entered()
    gated.submit(TextRequest("春", n=3, max_tokens=50))
    with pytest.raises(ResourceExhaustedError, match="3 texts wait already, and 3 may") as caught:
        gated.submit(TextRequest("春"))
    assert caught.value.reason == "TEXT_QUEUE_FULL"


def test_a_deadline_ends_a_text_where_it_is_running_or_waiting(gate: Gate, gated: TextEngine) -> None:
    soon = time.monotonic() + 0.2
    running = gated.submit(TextRequest("春", n=2, max_tokens=50), soon)
    gate.entered()
    waiting = gated.submit(TextRequest("dog"), soon)
    gate.step()
    gate.entered()
    while time.monotonic() < soon:
        threading.Event().wait(0.02)
    gate.step()
    answers = [*read(running), *read(waiting)]
    assert [a.reason for a in answers] == ["deadline"] * 3
    assert [len(a.tokens) for a in answers] == [2, 2, 0]
    assert gated.counters.active == 0


@pytest.mark.parametrize(
    ("field", "request_", "why"),
    [
        ("max_tokens", TextRequest("x", max_tokens=11), "at most 10"),
        ("n", TextRequest("x", max_tokens=1, n=3), "at most 2"),
        ("stop", TextRequest("x", max_tokens=1, stop=["a", "b"]), "at most 1"),
        ("prompt", TextRequest("齉" * 30, max_tokens=1), "a context of 64"),
        ("turns", TextRequest(turns=["齉" * 30], max_tokens=1), "a context of 64"),
        ("prompt_tokens", TextRequest(prompt_tokens=[5000], max_tokens=1), "end at"),
        ("regex", TextRequest("x", max_tokens=1, regex="("), "correct it"),
    ],
)
def test_a_request_beyond_the_limits_is_refused_by_name(
    writer: GptGenerator, field: str, request_: TextRequest, why: str
) -> None:
    engine = writer.engine(1, EngineLimits(max_tokens=10, max_texts=2, max_stops=1))
    with pytest.raises(InvalidInputError, match=why) as caught:
        engine.submit(request_)
    assert caught.value.field == field
    engine.close()


def test_a_closed_engine_ends_what_runs_and_takes_nothing_more(writer: GptGenerator) -> None:
    engine = TextEngine(KernelDecoder(writer.network, 1, 1), writer.tokenizer, endless=True)
    streams = [engine.submit(TextRequest("x", max_tokens=60)) for _ in range(3)]
    engine.close()
    engine.close()
    assert {read(stream)[0].reason for stream in streams} <= {"cancelled", "length"}
    with pytest.raises(UnavailableError, match="closed"):
        engine.submit(TextRequest("x"))
    assert engine._thread not in threading.enumerate()


def test_a_model_that_fails_tells_every_stream(writer: GptGenerator) -> None:
    class Broken(Gate):
        def forward(self, *_: object) -> Tensor:
            raise RuntimeError("out of memory")

    engine = TextEngine(Broken(KernelDecoder(writer.network, 1, 1)), writer.tokenizer)
    streams = []
    try:
        streams = [engine.submit(TextRequest("x")) for _ in range(2)]
    except UnavailableError:
        streams = streams or []
    for stream in streams:
        with pytest.raises(UnavailableError, match="out of memory"):
            read(stream)
    engine._thread.join(PATIENCE_S)
    with pytest.raises(UnavailableError, match="load the model again"):
        engine.submit(TextRequest("x"))
    engine.close()


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
