"""A GPT in training: pre-training on running text, or fine-tuning on dialogues with the loss on the answers."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.optim import Optimizer

from aigc.errors import InvalidInputError
from aigc.generate.base import TextData
from aigc.generate.gpt import GptGenerator
from aigc.generate.task import Phase, StepContext
from aigc.generate.text_batches import IGNORED, Examples, answer_examples, token_stream
from aigc.generate.text_training import TextTrainingOptions, compile_blocks, text_optimizer, windows
from aigc.generate.transformer import Transformer

__all__ = ["GptTask"]


class GptTask:
    """See :class:`aigc.generate.task.Task`. With ``data.pairs`` it learns to answer, else to continue."""

    averaged = ("network",)

    def __init__(self, generator: GptGenerator, data: TextData, options: TextTrainingOptions | None = None) -> None:
        """Args: generator: to begin from, fresh or trained; data: to learn from; options: how.

        Raises:
            InvalidInputError: There is nothing to learn from.
        """
        self.options = options or TextTrainingOptions()
        self.tokenizer = generator.tokenizer
        self.dialogue = bool(data.pairs)
        self.network = generator.network.requires_grad_(True)
        context = self.network.options.context
        self._examples: Examples | None = None
        self.stream = torch.empty(0, dtype=torch.int64)
        if self.dialogue:
            self._examples = answer_examples(data.pairs, self.tokenizer, context)
            held_out = data.held_out_pairs
            self._held_out_examples = answer_examples(held_out, self.tokenizer, context) if held_out else None
        else:
            self.stream = token_stream(data.documents, self.tokenizer)
            if len(self.stream) < 2:
                raise InvalidInputError("there is no text to learn from; give documents", field="documents")
        self._held_out = token_stream(data.held_out, self.tokenizer)
        self._characters_per_token = sum(map(len, data.held_out)) / max(1, len(self._held_out))
        if self.options.compile_blocks:
            compile_blocks(self.network)

    @property
    def name(self) -> str:
        """What is trained."""
        return "gpt (dialogue)" if self.dialogue else "gpt"

    @property
    def modules(self) -> Mapping[str, nn.Module]:
        """The network alone."""
        return {"network": self.network}

    def optimizers(self) -> Mapping[str, Optimizer]:
        """One, of two kinds."""
        return {"text": text_optimizer(self.network, self.options)}

    def phases(self, context: StepContext) -> Iterator[Phase]:
        """Cross-entropy of the next token."""
        if self._examples is not None:
            tokens, targets, share = self._dialogue_batch(self._examples, context)
        else:
            tokens, targets = self._text_batch(context)
            share = 1 / targets.numel()
        logits = self.network(tokens.to(context.device))  # (B, T, V)
        loss = _summed_loss(logits, targets.to(context.device)) * share
        yield Phase("text", loss)

    def _text_batch(self, context: StepContext) -> tuple[Tensor, Tensor]:
        """(B, T) tokens and the ones that follow, from places drawn anew at each step."""
        length = min(self.network.options.context, len(self.stream) - 1)
        starts = context.integers(len(self.stream) - length, self.options.batch_size).cpu()
        window = self.stream[starts[:, None] + torch.arange(length + 1)]  # (B, T + 1)
        return window[:, :-1], window[:, 1:]

    def _dialogue_batch(self, examples: Examples, context: StepContext) -> tuple[Tensor, Tensor, float]:
        """Rows, and what a token's loss weighs: every answer's token the same, over all processes' rows together."""
        everyone = replace(context, rank=0, world=1).rows(len(examples), self.options.batch_size)
        counted = examples.targets[everyone] != IGNORED  # (batch, T)
        share = context.world / max(1, int(counted.sum()))
        # Dialogues differ much in length, and what is after the longest of a batch teaches nothing.
        longest = int(counted.any(dim=0).nonzero().max()) + 1
        rows = context.cut(everyone)
        return examples.tokens[rows, :longest], examples.targets[rows, :longest], share

    @torch.no_grad()
    def validate(self, modules: Mapping[str, nn.Module]) -> Mapping[str, float]:
        """``loss`` in nats a token, and for running text ``bits_per_character``; nothing without held-out data."""
        network = modules["network"]
        total, count = 0.0, 0
        for tokens, targets in self._validation_batches():
            device = next(network.parameters()).device
            total += _summed_loss(network(tokens.to(device)), targets.to(device)).item()
            count += int((targets != IGNORED).sum())
        if count == 0:
            return {}
        measures = {"loss": total / count}
        if self._examples is None and self._characters_per_token > 0:
            measures["bits_per_character"] = total / count / math.log(2) / self._characters_per_token
        return measures

    def _validation_batches(self) -> Iterator[tuple[Tensor, Tensor]]:
        rows = self.options.validation_rows
        if self._examples is None:
            yield from windows(self._held_out, self.network.options.context, rows, self.options.validation_tokens)
        elif self._held_out_examples is not None:
            held_out = self._held_out_examples
            yield from zip(torch.split(held_out.tokens, rows), torch.split(held_out.targets, rows), strict=True)

    def draw_samples(self, modules: Mapping[str, nn.Module], path: Path) -> Path | None:
        """``path.txt``: continuations of the prompts at temperature 0.8, the same seeds every time."""
        network = modules["network"]
        assert isinstance(network, Transformer)
        parts = []
        for i, prompt in enumerate(self.options.sample_prompts):
            tokens = self.tokenizer.chat([prompt]) if self.dialogue else self.tokenizer.encode(prompt)
            drawn = _continue(
                network, tokens or [self.tokenizer.end], self.tokenizer.end, self.options.sample_tokens, i
            )
            parts.append(f"{prompt}{' → ' if self.dialogue else ''}{self.tokenizer.decode(drawn)}")
        target = path.with_name(path.name + ".txt")
        target.write_text("\n\n----\n\n".join(parts) + "\n", encoding="utf-8")
        return target

    def generator(self, modules: Mapping[str, nn.Module]) -> GptGenerator:
        """What is kept of these modules, the averaged ones in the end."""
        network = modules["network"]
        assert isinstance(network, Transformer)
        return GptGenerator(network, self.tokenizer, dialogue=self.dialogue)


def _summed_loss(logits: Tensor, targets: Tensor) -> Tensor:
    return functional.cross_entropy(
        logits.float().flatten(0, 1), targets.flatten(), ignore_index=IGNORED, reduction="sum"
    )


@torch.no_grad()
def _continue(network: Transformer, tokens: list[int], end: int, most: int, seed: int) -> list[int]:
    """A plain continuation without a cache: samples during training are few and short."""
    source = torch.Generator().manual_seed(seed)
    device = next(network.parameters()).device
    drawn: list[int] = []
    for _ in range(most):
        window = torch.tensor([(tokens + drawn)[-network.options.context :]], device=device)
        odds = torch.softmax(network(window)[0, -1].float().cpu() / 0.8, -1)
        token = int(torch.multinomial(odds, 1, generator=source))
        if token == end:
            break
        drawn.append(token)
    return drawn
