"""Texts from trained generators, piece by piece: the use case behind the call."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from aigc.errors import CancelledError, InvalidInputError
from aigc.generate.decode import TextStream
from aigc.generate.postprocess_text import TextPostProcessing, postprocess_text
from aigc.generate.text_request import TextChunk, TextRequest
from aigc.services.generation_limits import GenerationLimits
from aigc.services.model_pool import LoadedModel, ModelPool

__all__ = ["TextGeneration", "TextPiece", "TextPieces"]

_SEED_BITS = 53


@dataclass(frozen=True, slots=True)
class TextPiece:
    """A piece of one of a call's texts.

    Attributes:
        index: Which text.
        text: What came new, whole characters.
        token_ids: Tokens since the last piece.
        logprobs: One a token, in nats, where they were asked for.
        finish_reason: ``stop`` or ``length`` on a text's last piece.
        model: ``name@version``, on a text's first piece.
        seed: The text's, on its first piece.
        processed: The whole text after processing, on the last piece, where processing was asked for.
        processing: What it changed, in words.
        completion_tokens: Tokens of the whole text, on the last piece.
    """

    index: int
    text: str
    token_ids: Sequence[int] = ()
    logprobs: Sequence[float] = ()
    finish_reason: str = ""
    model: str = ""
    seed: int | None = None
    processed: str | None = None
    processing: Sequence[str] = ()
    completion_tokens: int = 0


class TextGeneration:
    """Opens streams on the models' decoding engines."""

    def __init__(self, pool: ModelPool, limits: GenerationLimits) -> None:
        """Args: pool: the models, each with its engine as runner; limits: of a call."""
        self._pool = pool
        self._limits = limits

    def open(
        self,
        reference: str,
        request: TextRequest,
        *,
        seeded: bool = True,
        processing: TextPostProcessing | None = None,
        seconds_left: float | None = None,
    ) -> TextPieces:
        """Begin a call's texts.

        Args:
            reference: ``name``, ``name@version`` or ``name@alias``.
            request: What is wanted.
            seeded: False draws a seed in place of the request's.
            processing: What to do to each whole text in the end.
            seconds_left: Until the caller's deadline.

        Raises:
            InvalidInputError: Names the wrong field.
            NotFoundError: No such model.
            ResourceExhaustedError: Too many texts wait.
        """
        self._check(request)
        if not seeded:
            request = replace(request, seed=secrets.randbits(_SEED_BITS))
        model = self._pool.get(reference)
        if model.runner is None:
            raise InvalidInputError(
                f"model {model.info.id} is a {model.info.kind}, which writes no texts; list models with ListModels",
                field="model",
                reason="WRONG_MODEL_KIND",
            )
        deadline = None if seconds_left is None else time.monotonic() + seconds_left
        return TextPieces(model, request, model.runner.submit(request, deadline), processing)

    def _check(self, request: TextRequest) -> None:
        limits = self._limits
        length = len(request.prompt) + sum(map(len, request.turns))
        for value, most, field in (
            (request.max_tokens, limits.tokens, "max_tokens"),
            (request.n, limits.texts, "n"),
            (length, limits.prompt_characters, "prompt"),
        ):
            if value > most:
                what = "has {} characters" if field == "prompt" else "is {}"
                raise InvalidInputError(f"{field} {what.format(value)}; at most {most} are allowed", field=field)


class TextPieces:
    """The pieces of a call's texts as they come; leaving early needs :meth:`cancel`, which any thread may call."""

    def __init__(
        self, model: LoadedModel, request: TextRequest, stream: TextStream, processing: TextPostProcessing | None
    ) -> None:
        """:meth:`TextGeneration.open` is the way in."""
        self._model = model
        self._request = request
        self._stream = stream
        self._processing = processing
        self._texts: dict[int, list[str]] = {}
        self._tokens: dict[int, int] = {}

    def listen(self, wake: Callable[[], None]) -> None:
        """Have ``wake`` called, from another thread, whenever there is something to :meth:`take`."""
        self._stream.listen(wake)

    def take(self) -> list[TextPiece] | None:
        """The pieces that are there, without waiting; None when every text has ended.

        Raises:
            CancelledError: The texts were cancelled.
            TimeoutError: The deadline passed.
            UnavailableError: The engine failed.
        """
        chunks = self._stream.take()
        return None if chunks is None else [self._piece(chunk) for chunk in chunks]

    def cancel(self) -> None:
        """End the work within one step; nothing happens when it has ended."""
        self._stream.cancel()

    def _piece(self, chunk: TextChunk) -> TextPiece:
        if chunk.finish_reason == "cancelled":
            raise CancelledError("the text was cancelled before it was written")
        if chunk.finish_reason == "deadline":
            raise TimeoutError
        first = chunk.index not in self._texts
        self._texts.setdefault(chunk.index, []).append(chunk.text)
        self._tokens[chunk.index] = self._tokens.get(chunk.index, 0) + len(chunk.token_ids)
        piece = TextPiece(chunk.index, chunk.text, chunk.token_ids, chunk.logprobs, chunk.finish_reason or "")
        if first:
            piece = replace(piece, model=self._model.info.id, seed=self._request.seed + chunk.index)
        return self._finished(piece) if chunk.finish_reason else piece

    def _finished(self, piece: TextPiece) -> TextPiece:
        piece = replace(piece, completion_tokens=self._tokens[piece.index])
        if self._processing is None:
            return piece
        processed, notes = postprocess_text("".join(self._texts[piece.index]), self._processing)
        return replace(piece, processed=processed, processing=notes)
