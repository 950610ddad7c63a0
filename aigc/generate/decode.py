"""The text engine: many requests in one running batch, each streamed, each stopped within one step.

Continuous batching (Yu et al., Orca, 2022): a request joins between two steps and leaves when it ends, and the pieces
of a new prompt are taken in beside the running texts' next tokens. Keys and values of a prompt's beginning that another
text has in its slot are copied instead of computed.
"""

from __future__ import annotations

import itertools
import math
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from queue import SimpleQueue

import torch

from aigc.errors import InvalidInputError, ResourceExhaustedError, UnavailableError
from aigc.generate.constraint import Constraint, ConstraintCompiler
from aigc.generate.decoder import Decoder
from aigc.generate.emission import Emission
from aigc.generate.sampling import BatchRules, RowRules
from aigc.generate.text_request import FinishReason, TextChunk, TextRequest
from aigc.generate.tokenizer import TextTokenizer

__all__ = ["EngineCounters", "EngineLimits", "TextEngine", "TextStream"]

# Tokens of new prompts that one step takes in beside the running texts: these wait no longer than for so many.
_PROMPT_PIECE = 64


@dataclass(frozen=True, slots=True)
class EngineLimits:
    """What one request, and all together, may ask for.

    Attributes:
        max_tokens: Of each text.
        max_texts: ``n`` of a request.
        max_stops: Stop texts of a request.
        queue: Texts that wait for a slot; more are refused.
    """

    max_tokens: int = 4096
    max_texts: int = 16
    max_stops: int = 16
    queue: int = 256


@dataclass(frozen=True, slots=True)
class EngineCounters:
    """For metrics: sums since the start, and what is now.

    Attributes:
        tokens: Generated.
        prompt_tokens: Taken in.
        reused_tokens: Prompt tokens whose keys and values were copied.
        steps: Calls of the model.
        finished: Texts that ended, in whatever way.
        active: Slots in use now.
        waiting: Texts in the queue now.
        slots: There are.
    """

    tokens: int
    prompt_tokens: int
    reused_tokens: int
    steps: int
    finished: int
    active: int
    waiting: int
    slots: int


class TextStream:
    """The pieces of a request's texts, in the order of their making; iterate from any one thread."""

    def __init__(self, engine: TextEngine, texts: int) -> None:
        self._engine = engine
        self._open = texts
        self._chunks: SimpleQueue[TextChunk | Exception] = SimpleQueue()
        self.cancelled = False
        self._wake: Callable[[], None] = _nothing

    def listen(self, wake: Callable[[], None]) -> None:
        """Have ``wake`` called, from the decode thread, whenever there is something to :meth:`take`."""
        self._wake = wake
        wake()

    def take(self) -> list[TextChunk] | None:
        """The pieces that are there, without waiting; None when every text has ended.

        Raises:
            UnavailableError: The engine was closed, or failed.
        """
        taken: list[TextChunk] = []
        while self._open and not self._chunks.empty():
            chunk = self._chunks.get_nowait()
            if isinstance(chunk, Exception):
                self._open = 0
                raise chunk
            if chunk.finish_reason is not None:
                self._open -= 1
            taken.append(chunk)
        return taken if taken or self._open else None

    def __iter__(self) -> Iterator[TextChunk]:
        """Until every text has ended.

        Raises:
            UnavailableError: The engine was closed, or failed.
        """
        while self._open:
            chunk = self._chunks.get()
            if isinstance(chunk, Exception):
                self._open = 0
                raise chunk
            if chunk.finish_reason is not None:
                self._open -= 1
            yield chunk

    def cancel(self) -> None:
        """End all texts within one step; pieces that are there already, and the last ones, can still be read."""
        self.cancelled = True
        self._engine.wake()

    def put(self, chunk: TextChunk | Exception) -> None:
        """For the engine."""
        self._chunks.put(chunk)
        self._wake()


class _Row:
    """One text on its way."""

    def __init__(
        self,
        request: TextRequest,
        index: int,
        prompt: list[int],
        most: int,
        deadline: float,
        stream: TextStream,
        emission: Emission,
        constraint: Constraint | None,
    ) -> None:
        self.request, self.index, self.prompt, self.most = request, index, prompt, most
        self.deadline, self.stream, self.emission, self.constraint = deadline, stream, emission, constraint
        self.rules: RowRules | None = None
        self.slot = -1
        self.tokens = list(prompt)  # prompt and answer
        self.taken = 0  # how many of them the model has seen


class TextEngine:
    """Generates text with one decode thread, which sleeps when there is nothing to do."""

    def __init__(
        self,
        decoder: Decoder,
        tokenizer: TextTokenizer,
        limits: EngineLimits | None = None,
        *,
        dialogue: bool = False,
        endless: bool = False,
    ) -> None:
        """Start.

        Args:
            decoder: The model, with its slots.
            tokenizer: The model's.
            limits: See there.
            dialogue: Take a prompt for a user's turn.
            endless: Never draw the end mark: texts end by their length or a stop text only.
        """
        self.limits = limits or EngineLimits()
        self.dialogue = dialogue
        self._decoder = decoder
        self._tokenizer = tokenizer
        self._compiler = ConstraintCompiler(tokenizer, decoder.vocabulary_size)
        self._end = {tokenizer.end}
        # Special tokens are never drawn, but for the end; nor are rows of the embedding without a token.
        banned = [t for t in tokenizer.special if endless or t != tokenizer.end]
        self._banned = torch.tensor([*banned, *range(len(tokenizer), decoder.vocabulary_size)], dtype=torch.int64)
        self._lock = threading.Condition()
        self._waiting: deque[_Row] = deque()
        self._active: list[_Row] = []
        self._free = list(range(decoder.slots))
        # What each slot holds: the tokens whose keys and values are in it, running or ended.
        self._held: list[list[int]] = [[] for _ in range(decoder.slots)]
        self._closing = False
        # Whether a stream was cancelled, and the next deadline: most steps have neither to look for.
        self._alarm = False
        self._soonest = math.inf
        self._failure: Exception | None = None
        self._rules: BatchRules | None = None
        self._ruled: list[_Row] = []
        self._counts = {"tokens": 0, "prompt_tokens": 0, "reused_tokens": 0, "steps": 0, "finished": 0}
        self._thread = threading.Thread(target=self._run, name="text-engine", daemon=True)
        self._thread.start()

    def submit(self, request: TextRequest, deadline: float | None = None) -> TextStream:
        """Queue a request; callable from any thread.

        Args:
            request: What is wanted.
            deadline: ``time.monotonic()`` after which every text of it ends where it is.

        Raises:
            InvalidInputError: It asks for more than the limits, its prompt is longer than the context, or its schema or
                expression is none; names the field.
            ResourceExhaustedError: The queue is full.
            UnavailableError: The engine is closed or has failed.
        """
        prompt = self._prompt(request)
        self._check(request, prompt)
        # Compiled before anything is queued: a wrong schema fails here.
        constraints = [self._compiler.compile(request) for _ in range(request.n)]
        most = min(request.max_tokens, self._decoder.context - len(prompt))
        stream = TextStream(self, request.n)
        rows = [
            _Row(
                request,
                i,
                prompt,
                most,
                math.inf if deadline is None else deadline,
                stream,
                Emission(self._tokenizer, request.stop),
                constraint,
            )
            for i, constraint in enumerate(constraints)
        ]
        with self._lock:
            if self._closing or self._failure is not None:
                raise UnavailableError(f"the text engine does not run ({self._failure or 'it was closed'})")
            if len(self._waiting) + request.n > self.limits.queue + max(0, len(self._free)):
                raise ResourceExhaustedError(
                    f"{len(self._waiting)} texts wait already, and {self.limits.queue} may; try again later",
                    retry_delay_ms=1000,
                    reason="TEXT_QUEUE_FULL",
                )
            self._waiting.extend(rows)
            self._soonest = min(self._soonest, rows[0].deadline)
            self._lock.notify()
        return stream

    @property
    def counters(self) -> EngineCounters:
        """See :class:`EngineCounters`."""
        with self._lock:
            return EngineCounters(
                **self._counts, active=len(self._active), waiting=len(self._waiting), slots=self._decoder.slots
            )

    def wake(self) -> None:
        """Let the decode thread look for cancellations."""
        with self._lock:
            self._alarm = True
            self._lock.notify()

    def close(self) -> None:
        """End all texts as cancelled, and the thread. Closing twice is fine."""
        with self._lock:
            self._closing = self._alarm = True
            self._lock.notify()
        self._thread.join()

    def _prompt(self, request: TextRequest) -> list[int]:
        if request.prompt_tokens:
            return self._known(request.prompt_tokens)
        turns = request.turns or ([request.prompt] if self.dialogue else ())
        if turns:
            return self._tokenizer.chat(turns)
        return self._tokenizer.encode(request.prompt) or [self._tokenizer.end]

    def _known(self, tokens: Sequence[int]) -> list[int]:
        strange = [token for token in tokens if not 0 <= token < self._decoder.vocabulary_size]
        if strange:
            raise InvalidInputError(
                f"prompt_tokens has {strange[0]}, and the model's tokens end at {self._decoder.vocabulary_size - 1}",
                field="prompt_tokens",
            )
        return list(tokens)

    def _check(self, request: TextRequest, prompt: Sequence[int]) -> None:
        for name, value, most in (
            ("max_tokens", request.max_tokens, self.limits.max_tokens),
            ("n", request.n, self.limits.max_texts),
            ("stop", len(request.stop), self.limits.max_stops),
        ):
            if value > most:
                raise InvalidInputError(f"{name} is {value}; at most {most} here", field=name, reason="TEXT_LIMIT")
        if len(prompt) >= self._decoder.context:
            raise InvalidInputError(
                f"the prompt has {len(prompt)} tokens and the model a context of {self._decoder.context}; shorten it",
                field="turns" if request.turns else "prompt",
                reason="PROMPT_TOO_LONG",
            )

    # --- the decode thread ------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            with torch.inference_mode():
                while self._admit():
                    self._step()
        except Exception as error:
            self._fail(error)

    def _admit(self) -> bool:
        """End what is to end, give free slots to those who wait, and sleep when there is nothing; False at the end."""
        with self._lock:
            while True:
                self._sweep()
                if self._closing:
                    return False
                while self._waiting and self._free:
                    self._enter(self._waiting.popleft())
                if self._active:
                    return True
                self._lock.wait()

    def _sweep(self) -> None:
        """End rows that are cancelled or late, running or waiting."""
        now = time.monotonic()
        if not self._alarm and now < self._soonest:
            return
        self._alarm, self._soonest = False, math.inf
        for row in [*self._active, *self._waiting]:
            if self._closing or row.stream.cancelled:
                self._finish(row, "cancelled")
            elif now >= row.deadline:
                self._finish(row, "deadline")
            else:
                self._soonest = min(self._soonest, row.deadline)

    def _enter(self, row: _Row) -> None:
        """Give a row the free slot that holds the longest beginning of its prompt, or copy it from another slot."""
        # The last token is always computed: its logits are wanted.
        shared = [_shared(held, row.prompt[:-1]) for held in self._held]
        slot = max(self._free, key=lambda s: (shared[s], -len(self._held[s]), -s))
        best = max(range(len(shared)), key=shared.__getitem__)
        if shared[best] > shared[slot]:
            self._decoder.copy(best, slot, shared[best])
            shared[slot] = shared[best]
        self._free.remove(slot)
        row.slot, row.taken = slot, shared[slot]
        self._held[slot] = row.prompt[: row.taken]
        row.rules = RowRules.of(row.request, row.request.seed + row.index, row.prompt, self._decoder.vocabulary_size)
        self._active.append(row)
        self._counts["reused_tokens"] += row.taken

    def _step(self) -> None:
        """One call of the model: the next token of every running row, and pieces of new prompts."""
        slots: list[int] = []
        tokens: list[int] = []
        positions: list[int] = []
        wanted: list[int] = []
        ready: list[_Row] = []
        room, prompted = _PROMPT_PIECE, 0
        for row in self._active:
            left = len(row.tokens) - row.taken
            if left > 1:
                left = min(left, room)
                room -= left
            prompted += min(left, max(0, len(row.prompt) - row.taken))
            piece = row.tokens[row.taken : row.taken + left]
            slots += [row.slot] * left
            tokens += piece
            positions += range(row.taken, row.taken + left)
            row.taken += left
            self._held[row.slot] += piece
            if row.taken == len(row.tokens):
                wanted.append(len(slots) - 1)
                ready.append(row)
        logits = self._decoder.forward(slots, tokens, positions, wanted)
        with self._lock:
            self._counts["steps"] += 1
            self._counts["prompt_tokens"] += prompted
        if ready:
            self._draw(ready, logits)

    def _draw(self, rows: list[_Row], logits: torch.Tensor) -> None:
        """The next token of each row, and what it means for the row."""
        logits.index_fill_(1, self._banned, float("-inf"))
        if rows != self._ruled:
            self._ruled = rows
            self._rules = BatchRules([row.rules for row in rows if row.rules is not None])
        assert self._rules is not None
        for i, row in enumerate(rows):
            if row.constraint is not None:
                row.constraint.mask(logits[i])
        tokens, logprobs = self._rules.draw(logits)
        ended: list[tuple[_Row, FinishReason]] = []
        for i, (row, token) in enumerate(zip(rows, tokens, strict=True)):
            reason = self._take(row, token, None if logprobs is None else logprobs[i])
            if reason is not None:
                ended.append((row, reason))
        with self._lock:
            self._counts["tokens"] += len(rows)
            for row, reason in ended:
                self._finish(row, reason)

    def _take(self, row: _Row, token: int, logprob: float | None) -> FinishReason | None:
        """Add a token to a row; why the row ends with it, or None."""
        assert row.rules is not None
        if token in self._end:
            return "stop"
        row.tokens.append(token)
        row.rules.count(token)
        shown = row.emission.add(token, logprob if row.request.logprobs else None)
        if row.emission.stopped or (row.constraint is not None and row.constraint.take(token)):
            return "stop"
        if len(row.tokens) - len(row.prompt) >= row.most:
            return "length"
        if shown:
            row.stream.put(row.emission.chunk(row.index))
        return None

    def _finish(self, row: _Row, reason: FinishReason) -> None:
        """Under the lock: the last piece, and the slot back."""
        row.stream.put(row.emission.last(row.index, reason))
        self._counts["finished"] += 1
        if row.slot < 0:
            self._waiting.remove(row)
            return
        self._active.remove(row)
        self._free.append(row.slot)

    def _fail(self, error: Exception) -> None:
        """The model failed: every stream is told."""
        with self._lock:
            self._failure = error
            failure = UnavailableError(f"the text engine failed ({error!r}); load the model again")
            for stream in {id(r.stream): r.stream for r in itertools.chain(self._active, self._waiting)}.values():
                stream.put(failure)
            self._active.clear()
            self._waiting.clear()
            self._free = list(range(self._decoder.slots))


def _nothing() -> None:
    """Nobody listens."""


def _shared(held: Sequence[int], prompt: Sequence[int]) -> int:
    """Length of the common beginning."""
    length = 0
    for a, b in zip(held, prompt, strict=False):
        if a != b:
            break
        length += 1
    return length
