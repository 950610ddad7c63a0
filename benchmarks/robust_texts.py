"""Callers of streams of generated text, for the robustness benchmarks: is each whole, or told why it is not?

A text follows from its seed alone, so the whole text is known before: it is asked of another server. A stream that
ends with OK must be that text with its number of tokens and its reason to end; one that ends otherwise must say why.
"""

from __future__ import annotations

import random
import re
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from aigc.generate.gpt import GptGenerator
from aigc.generate.repository import ModelRepository
from aigc.generate.tokenizer import TextTokenizer
from aigc.generate.transformer import TransformerOptions
from aigc.v1 import generation_service_pb2 as pb
from aigc.v1 import generation_service_pb2_grpc

MODEL, PROMPT = "writer", "The quick"
PATIENCE_S = 120
ENDING = "UNAVAILABLE SERVER_ENDING"
"""What a server tells whose stream it cannot finish."""


def add_writer(home: Path) -> None:
    """An untrained GPT with room for long texts: what a token costs does not depend on what was learned."""
    words = ["The quick brown fox jumps over the lazy dog.", "春眠不觉晓,处处闻啼鸟。"] * 20
    tokenizer = TextTokenizer.train(words, 400)
    shape = TransformerOptions(vocabulary_size=len(tokenizer), context=4096, layers=4, width=128, heads=4)
    ModelRepository(home / "models").add(MODEL, GptGenerator.fresh(shape, tokenizer))


@dataclass(frozen=True)
class Asked:
    """A text wanted.

    Attributes:
        seed: Of the first of ``n`` texts.
        tokens: Of each, unless its end mark comes before.
        n: How many in one stream.
        pause_s: Between two messages that the caller reads.
        temperature: 0 goes round in circles without the end mark, to the model's last token.
    """

    seed: int
    tokens: int
    n: int = 1
    pause_s: float = 0.0
    temperature: float = 1.0


@dataclass
class Got:
    """What a caller had when its stream ended: index → text, reason to end, tokens told; and the number of messages."""

    texts: dict[int, str] = field(default_factory=dict)
    ends: dict[int, tuple[int, int]] = field(default_factory=dict)
    messages: int = 0

    def whole(self, wanted: Got) -> bool:
        """Is it every text to its end?"""
        return (self.texts, self.ends) == (wanted.texts, wanted.ends)


# Of about 0.05 to a second, where the generator has a core; the slow reader's is written long before it is read.
SHORT = (
    *(Asked(seed, 16) for seed in range(4)),
    *(Asked(seed, 200) for seed in range(4)),
    *(Asked(seed, 60, n=4) for seed in range(2)),
    Asked(9, 300, pause_s=0.005),
)
LONG = Asked(11, 4096, n=4, temperature=0.0)


def read(
    channel: grpc.Channel, asked: Asked, got: Got, *, name: str = "", began: Callable[[], None] = lambda: None
) -> None:
    """Read a stream to its end into ``got``, which tells what came whatever becomes of it; ``began`` at the first."""
    request = pb.GenerateTextRequest(
        model=MODEL, prompt=PROMPT, max_tokens=asked.tokens, n=asked.n, seed=asked.seed, temperature=asked.temperature
    )
    call: Any = generation_service_pb2_grpc.GenerationServiceStub(channel).GenerateText(
        request, metadata=[("x-request-id", name)], timeout=PATIENCE_S
    )
    for piece in call:
        got.messages += 1
        if got.messages == 1:
            began()
        got.texts[piece.index] = got.texts.get(piece.index, "") + piece.text
        if piece.finish_reason:
            got.ends[piece.index] = piece.finish_reason, piece.completion_tokens
        if asked.pause_s:
            time.sleep(asked.pause_s)


def known_texts(address: str) -> dict[Asked, Got]:
    """Every text of ``SHORT``, whole."""
    found = {asked: Got() for asked in SHORT}
    with grpc.insecure_channel(address) as channel:
        for asked, got in found.items():
            read(channel, asked, got)
            assert set(got.ends) == set(range(asked.n)), "a text without an end on a server at rest"
    return found


class TextCallers:
    """Threads that read texts from ``address``, each beginning the next at once, until the server refuses.

    Attributes:
        outcomes: In words → how many streams ended so.
        wrong: Name of a stream of which something had come → what is wrong with its end.
        silent: Name of a stream that failed before anything came → what its caller was told: refused, unless the
            server's log names it.
        open_at: Streams of which something had come, and more was due, when :meth:`tell` was called.
    """

    def __init__(
        self, address: str, known: dict[Asked, Got], callers: int, overlong: int, seed: int, *, grace_s: float
    ) -> None:
        """Begin; ``overlong`` more callers ask for long texts. Until ``grace_s`` after :meth:`tell` none may be cut."""
        self.outcomes: Counter[str] = Counter()
        self.wrong: dict[str, str] = {}
        self.silent: dict[str, str] = {}
        self.open_at = 0
        self._grace_s, self._told = grace_s, float("inf")
        self._address, self._known = address, known
        self._reading: set[str] = set()
        self._first = threading.Event()
        self._lock = threading.Lock()
        self._threads = [
            threading.Thread(target=self._run, args=(i, seed, i < overlong)) for i in range(callers + overlong)
        ]
        for thread in self._threads:
            thread.start()

    def wait_for_the_first(self) -> None:
        """Until the generator is there and writes, which takes it seconds to begin."""
        if self._threads:
            assert self._first.wait(60), "no text came"

    def tell(self) -> None:
        """The server is being told to end."""
        self._told = time.monotonic()
        with self._lock:
            self.open_at = len(self._reading)

    def join(self) -> None:
        """Wait until each caller was refused."""
        for thread in self._threads:
            thread.join()

    def _run(self, number: int, seed: int, overlong: bool) -> None:
        rng = random.Random(f"{seed}-text-{number}")
        with grpc.insecure_channel(self._address, options=[("grpc.use_local_subchannel_pool", 1)]) as channel:
            sequence = 0
            while self._one(channel, LONG if overlong else rng.choice(SHORT), f"{seed}-text-{number}-{sequence}"):
                sequence += 1

    def _one(self, channel: grpc.Channel, asked: Asked, name: str) -> bool:
        """One stream; False when the server takes no more."""
        got, more, wrong = Got(), True, ""

        def began() -> None:
            self._first.set()
            with self._lock:
                self._reading.add(name)

        try:
            read(channel, asked, got, name=name, began=began)
            outcome = "whole" if asked is LONG or got.whole(self._known[asked]) else "OK, and not the whole text"
            if outcome != "whole":
                wrong = f"{outcome}: {got.messages} messages, ends {got.ends}, of {asked}"
        except grpc.RpcError as error:
            more, outcome = False, told(error)
            if not got.messages:
                self.silent[name] = outcome
            elif outcome != ENDING or time.monotonic() < self._told + self._grace_s:
                wrong = f"{outcome} after {got.messages} messages of {asked}"
        kind = "long" if asked is LONG else "short"
        with self._lock:
            self._reading.discard(name)
            self.outcomes[f"{kind}, {'begun' if got.messages else 'nothing came'}: {outcome}"] += 1
            if wrong:
                self.wrong[name] = wrong
        return more


def told(error: Any) -> str:
    """Code and reason, or the words where there is no reason."""
    status = rpc_status.from_call(error)
    for detail in status.details if status is not None else ():
        info = error_details_pb2.ErrorInfo()
        if detail.Unpack(info):
            return f"{error.code().name} {info.reason}"
    return f"{error.code().name}: {re.sub(r'ipv4:[0-9.:]+', 'it', str(error.details()))}"
