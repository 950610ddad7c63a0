"""What is asked of a text generator, and the pieces in which it answers."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from aigc.errors import InvalidInputError

__all__ = ["FinishReason", "TextChunk", "TextRequest"]

FinishReason = Literal["stop", "length", "cancelled", "deadline"]


@dataclass(frozen=True, slots=True)
class TextRequest:
    """A text wanted. Give ``prompt``, ``turns`` or ``prompt_tokens``.

    Attributes:
        prompt: What to continue.
        turns: A dialogue to go on with: the user's, the assistant's, … and the user's at last.
        prompt_tokens: What to continue, as tokens of the model's own.
        max_tokens: Most tokens to generate for each of the ``n`` texts; fewer where the model's context ends.
        temperature: 0 for the likeliest token always; below 1 surer, above 1 bolder.
        top_k: Only the k likeliest tokens may be drawn; 0 for all.
        top_p: Only the likeliest tokens that hold this share of the probability together (Holtzman et al. 2020); in
            (0, 1].
        min_p: Only tokens at least this share as likely as the likeliest (Nguyen et al. 2024); in [0, 1).
        repetition_penalty: Divides what speaks for a token that stands in the prompt or the answer (Keskar et al.
            2019); 1 for none.
        presence_penalty: Taken from the logit of a token that the answer has; in [-2, 2].
        frequency_penalty: The same for each time that it has it.
        stop: Texts that end the answer; they are not part of it.
        n: How many texts.
        seed: Of the first; text i is the one that a request of its own with ``seed + i`` gives.
        logprobs: Whether to tell each token's log-probability (of the model itself, before temperature and penalties).
        json_schema: The answer is JSON of this schema. Not with ``regex``.
        regex: The whole answer matches this expression.
    """

    prompt: str = ""
    turns: Sequence[str] = ()
    prompt_tokens: Sequence[int] = ()
    max_tokens: int = 128
    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0
    min_p: float = 0.0
    repetition_penalty: float = 1.0
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    stop: Sequence[str] = ()
    n: int = 1
    seed: int = 0
    logprobs: bool = False
    json_schema: Mapping[str, Any] | str | None = None
    regex: str | None = None

    def __post_init__(self) -> None:
        given = [name for name in ("prompt", "turns", "prompt_tokens") if getattr(self, name)]
        _check(len(given) <= 1, given[-1] if given else "prompt", " and ".join(given), "one of them")
        _check(
            all(isinstance(turn, str) for turn in self.turns) and (not self.turns or len(self.turns) % 2 == 1),
            "turns",
            f"{len(self.turns)} turns",
            "an odd number, so that the last is the user's",
        )
        for name in ("max_tokens", "n"):
            _check(getattr(self, name) >= 1, name, getattr(self, name), "at least 1")
        for name, low, high in (
            ("temperature", 0.0, 100.0),
            ("repetition_penalty", 0.01, 100.0),
            ("presence_penalty", -2.0, 2.0),
            ("frequency_penalty", -2.0, 2.0),
        ):
            value = getattr(self, name)
            _check(math.isfinite(value) and low <= value <= high, name, value, f"a number in [{low:g}, {high:g}]")
        _check(self.top_k >= 0, "top_k", self.top_k, "0 for all tokens, or more")
        _check(0 < self.top_p <= 1, "top_p", self.top_p, "a number in (0, 1]")
        _check(0 <= self.min_p < 1, "min_p", self.min_p, "a number in [0, 1)")
        _check(not isinstance(self.stop, str) and all(self.stop), "stop", self.stop, "a list of texts, none empty")
        _check(0 <= self.seed < 1 << 63, "seed", self.seed, "a whole number in [0, 2⁶³)")
        _check(self.json_schema is None or self.regex is None, "regex", "a json_schema and a regex", "one of them")


@dataclass(frozen=True, slots=True)
class TextChunk:
    """A piece of an answer; pieces of several answers come mixed, told apart by ``index``.

    Attributes:
        index: Which of the ``n`` texts it belongs to.
        text: Whole characters; may be empty.
        token_ids: Tokens since the last piece, without the end mark. Their text may be in a later piece still.
        logprobs: One a token, in nats, where they were asked for.
        finish_reason: ``stop`` (the model or a stop text ended it), ``length``, ``cancelled`` or ``deadline`` in an
            answer's last piece, else None.
    """

    index: int
    text: str
    token_ids: Sequence[int] = ()
    logprobs: Sequence[float] = field(default_factory=tuple)
    finish_reason: FinishReason | None = None


def _check(holds: bool, name: str, value: object, remedy: str) -> None:
    if not holds:
        raise InvalidInputError(f"{name} is {value!r}; give {remedy}", field=name)
