"""A two-layer model with weights large enough that its texts differ, and a tokenizer to go with it."""

from __future__ import annotations

import torch

from aigc.generate.decode import EngineLimits, TextEngine, TextStream
from aigc.generate.decoder import make_decoder
from aigc.generate.gpt import GptGenerator
from aigc.generate.text_request import TextRequest
from aigc.generate.tokenizer import TextTokenizer
from aigc.generate.transformer_options import Activation, TransformerOptions

CORPUS = (
    "床前明月光，疑是地上霜。\n舉頭望明月，低頭思故鄉。",
    "白日依山盡，黃河入海流。\n欲窮千里目，更上一層樓。",
    "The quick brown fox jumps over the lazy dog. To be, or not to be: that is the question.",
    "你好，我是一个人工智能助手。Hello, I am a machine! 12345 café 🙂",
)


def tokenizer(vocabulary_size: int = 400) -> TextTokenizer:
    return TextTokenizer.train(CORPUS, vocabulary_size)


def small_gpt(
    *, activation: Activation = "swiglu", key_heads: int = 0, tied: bool = True, context: int = 96, seed: int = 0
) -> GptGenerator:
    pieces = tokenizer()
    options = TransformerOptions(
        len(pieces),
        context=context,
        layers=2,
        heads=2,
        key_heads=key_heads,
        width=32,
        hidden=40,
        activation=activation,
        tied=tied,
    )
    generator = GptGenerator.fresh(options, pieces, seed)
    source = torch.Generator().manual_seed(seed + 1)
    with torch.no_grad():
        for weight in generator.network.parameters():
            if weight.ndim == 2:
                weight.copy_(torch.randn(weight.shape, generator=source) * 1.3 * weight.shape[1] ** -0.5)
            else:
                weight.copy_(1 + 0.2 * torch.randn(weight.shape, generator=source))
    return generator


def engine(generator: GptGenerator, slots: int = 4, threads: int = 1, limits: EngineLimits | None = None) -> TextEngine:
    return TextEngine(make_decoder(generator.network, slots, threads), generator.tokenizer, limits)


def read(stream: TextStream) -> dict[int, tuple[str, tuple[int, ...], str | None]]:
    """index → (text, tokens, why it ended)."""
    found: dict[int, tuple[str, tuple[int, ...], str | None]] = {}
    for chunk in stream:
        text, tokens, _ = found.get(chunk.index, ("", (), None))
        found[chunk.index] = (text + chunk.text, (*tokens, *chunk.token_ids), chunk.finish_reason)
    return found


def complete(running: TextEngine, request: TextRequest) -> tuple[str, tuple[int, ...], str | None]:
    return read(running.submit(request))[0]
