"""A small language model that says something: random weights everywhere, so that a token depends on all before it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cache

import torch

from aigc.generate.gpt import GptGenerator
from aigc.generate.text_request import TextChunk
from aigc.generate.tokenizer import TextTokenizer
from aigc.generate.transformer import Transformer, TransformerOptions

WORDS = ["春眠不觉晓，处处闻啼鸟。夜来风雨声，花落知多少。", "The quick brown fox jumps over the lazy dog. 😀"] * 10


@cache
def small_tokenizer() -> TextTokenizer:
    return TextTokenizer.train(WORDS, 320)


def lively(network: Transformer, seed: int = 0) -> Transformer:
    """Fresh models write nothing into their residual streams; this one does."""
    source = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weight in network.parameters():
            spread = 0.5 if weight.ndim < 2 else 1.5 * weight.shape[1] ** -0.5
            weight.copy_(torch.randn(weight.shape, generator=source) * spread + (weight.ndim < 2))
    return network.eval()


def small_gpt(seed: int = 0, tokenizer: TextTokenizer | None = None, **shape: object) -> GptGenerator:
    tokenizer = tokenizer or small_tokenizer()
    given = {"vocabulary_size": len(tokenizer), "context": 64, "layers": 2, "width": 32, "heads": 4, "key_heads": 2}
    options = TransformerOptions(**(given | shape))  # type: ignore[arg-type]
    return GptGenerator(lively(Transformer(options, causal=True), seed), tokenizer)


@dataclass
class Answer:
    text: str = ""
    tokens: list[int] = field(default_factory=list)
    logprobs: list[float] = field(default_factory=list)
    reason: str | None = None
    pieces: list[str] = field(default_factory=list)


def read(stream: Iterable[TextChunk]) -> list[Answer]:
    """What a stream says, put together: an answer for each of its texts."""
    answers: dict[int, Answer] = {}
    for chunk in stream:
        answer = answers.setdefault(chunk.index, Answer())
        answer.text += chunk.text
        answer.tokens += chunk.token_ids
        answer.logprobs += chunk.logprobs
        answer.reason = chunk.finish_reason
        answer.pieces.append(chunk.text)
    return [answers[i] for i in sorted(answers)]
