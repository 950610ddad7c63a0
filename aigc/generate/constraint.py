"""Answers of a given form: JSON of a schema, or a regular expression, by llguidance."""

from __future__ import annotations

import json
import threading
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from aigc.errors import InvalidInputError
from aigc.generate.text_request import TextRequest
from aigc.generate.tokenizer import TextTokenizer

__all__ = ["Constraint", "ConstraintCompiler"]

_MAX_CHARACTERS = 100_000
_CACHED = 32


class Constraint:
    """Where one answer stands in its grammar."""

    def __init__(self, matcher: Any, vocabulary_size: int) -> None:
        self._matcher = matcher
        self._size = vocabulary_size

    def mask(self, logits: Tensor) -> None:
        """Set the (V,) logits of tokens that may not follow to -inf; the end mark may where the form is whole."""
        bits = np.frombuffer(self._matcher.compute_bitmask(), np.uint8)
        allowed = np.unpackbits(bits, count=self._size, bitorder="little").astype(bool)
        logits.masked_fill_(~torch.from_numpy(allowed).to(logits.device), float("-inf"))

    def take(self, token: int) -> bool:
        """Go on by a token; True when nothing may follow."""
        self._matcher.consume_token(token)
        return bool(self._matcher.is_stopped())


class ConstraintCompiler:
    """Makes constraints for one tokenizer, and keeps the last grammars compiled. Callable from any thread."""

    def __init__(self, tokenizer: TextTokenizer, vocabulary_size: int) -> None:
        self._source = tokenizer
        self._size = vocabulary_size
        self._lock = threading.Lock()
        self._tokenizer: Any = None
        self._compiled: OrderedDict[str, Any] = OrderedDict()

    def compile(self, request: TextRequest) -> Constraint | None:
        """The request's constraint at its beginning; None where it has none.

        Raises:
            InvalidInputError: The schema or the expression is none, or too complex; names the field.
        """
        if request.json_schema is None and request.regex is None:
            return None
        with self._lock:
            grammar = _grammar(request)
            matcher = self._compiled.get(grammar)
            if matcher is None:
                matcher = self._matcher(grammar, "regex" if request.json_schema is None else "json_schema")
                self._compiled[grammar] = matcher
                while len(self._compiled) > _CACHED:
                    self._compiled.popitem(last=False)
            self._compiled.move_to_end(grammar)
            return Constraint(matcher.deep_copy(), self._size)

    def _matcher(self, grammar: str, field: str) -> Any:
        # Slow to import, and needed by few requests.
        from llguidance import LLMatcher, LLTokenizer, TokenizerWrapper

        if self._tokenizer is None:
            self._tokenizer = LLTokenizer(
                TokenizerWrapper(_Pieces(self._source)), n_vocab=self._size, eos_token=self._source.end
            )
        matcher = LLMatcher(self._tokenizer, grammar, log_level=0)
        # An expression that nothing matches is found out by the first mask.
        allowed = b"" if matcher.is_error() else matcher.compute_bitmask()
        if matcher.is_error():
            raise _wrong(field, matcher.get_error())
        if not any(allowed):
            raise _wrong(field, "nothing matches it")
        return matcher


class _Pieces:
    """What llguidance asks of a tokenizer."""

    def __init__(self, tokenizer: TextTokenizer) -> None:
        self.eos_token_id = tokenizer.end
        self.bos_token_id = None
        self.special_token_ids = list(tokenizer.special)
        names = dict.fromkeys(tokenizer.special, b"<|special|>")
        self.tokens: Sequence[bytes] = [names.get(i, piece) for i, piece in enumerate(tokenizer.pieces)]
        self._tokenizer = tokenizer

    def __call__(self, text: bytes | str) -> list[int]:
        return self._tokenizer.encode(text if isinstance(text, str) else text.decode("utf-8"))


def _grammar(request: TextRequest) -> str:
    from llguidance import LLMatcher

    if request.regex is not None:
        if len(request.regex) > _MAX_CHARACTERS:
            raise _wrong("regex", f"it has more than {_MAX_CHARACTERS} characters")
        return str(LLMatcher.grammar_from_regex(request.regex))
    schema = request.json_schema
    try:
        text = schema if isinstance(schema, str) else json.dumps(schema)
        if len(text) > _MAX_CHARACTERS:
            raise ValueError(f"it has more than {_MAX_CHARACTERS} characters")
        if not isinstance(json.loads(text), dict | bool):
            raise ValueError("it is no JSON object")
        return str(LLMatcher.grammar_from_json_schema(text, overrides={"whitespace_flexible": False}))
    except (ValueError, TypeError, RecursionError) as error:
        raise _wrong("json_schema", str(error)) from error


def _wrong(field: str, why: str) -> InvalidInputError:
    return InvalidInputError(
        f"{field} cannot constrain a text ({why.strip()[:300]}); correct it, or leave it out",
        field=field,
        reason="BAD_CONSTRAINT",
    )
