"""What the training of a GPT and of a BERT share: options, optimiser, and reading of held-out text in windows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from aigc.errors import InvalidInputError
from aigc.generate.muon import MuonAdamW
from aigc.generate.transformer import Transformer

__all__ = ["TextTrainingOptions", "compile_blocks", "text_optimizer", "windows"]


@dataclass(frozen=True, slots=True)
class TextTrainingOptions:
    """How a text model learns.

    Attributes:
        batch_size: Rows a step, over all processes.
        matrix_learning_rate: Of the blocks' matrices (Muon).
        learning_rate: Of embeddings and gains (AdamW).
        weight_decay: Of the matrices.
        compile_blocks: Let ``torch.compile`` fuse the small steps of a block: training on a CPU is about a third
            faster, after some ten seconds and with a C++ compiler at hand.
        validation_tokens: Validation stops after so many.
        validation_rows: Rows of a validation batch.
        sample_prompts: What the sample sheets continue.
        sample_tokens: Most tokens of each continuation.
    """

    batch_size: int = 32
    matrix_learning_rate: float = 0.02
    learning_rate: float = 0.003
    weight_decay: float = 0.0
    compile_blocks: bool = False
    validation_tokens: int = 131_072
    validation_rows: int = 32
    sample_prompts: tuple[str, ...] = ("",)
    sample_tokens: int = 100

    def __post_init__(self) -> None:
        for name in ("batch_size", "validation_tokens", "validation_rows"):
            if getattr(self, name) < 1:
                raise InvalidInputError(f"{name} is {getattr(self, name)}; give at least 1", field=name)
        for name in ("matrix_learning_rate", "learning_rate"):
            if not getattr(self, name) > 0:
                raise InvalidInputError(f"{name} is {getattr(self, name)}; give a number above 0", field=name)
        if not self.weight_decay >= 0:
            raise InvalidInputError(f"weight_decay is {self.weight_decay}; give 0 or more", field="weight_decay")


def text_optimizer(network: Transformer, options: TextTrainingOptions) -> MuonAdamW:
    """Muon takes the blocks' matrices, AdamW embeddings and gains."""
    matrices = [p for p in network.blocks.parameters() if p.ndim == 2]
    chosen = {id(p) for p in matrices}
    return MuonAdamW(
        matrices,
        [p for p in network.parameters() if id(p) not in chosen],
        matrix_learning_rate=options.matrix_learning_rate,
        learning_rate=options.learning_rate,
        weight_decay=options.weight_decay,
    )


def compile_blocks(network: Transformer) -> None:
    """Compile one block's code for all of them; names of weights stay what they are."""
    for block in network.blocks:
        block.compile()


def windows(stream: Tensor, length: int, rows: int, most: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Read a text once: (tokens, next tokens), each (≤ rows, length) int64, in windows that do not overlap.

    A rest shorter than a window is left out, unless there is no whole window. Stops after ``most`` tokens.
    """
    length = min(length, len(stream) - 1)
    if length < 1:
        return
    count = max(1, min((len(stream) - 1) // length, most // length))
    tokens = stream[: count * length].view(count, length)
    following = stream[1 : count * length + 1].view(count, length)
    yield from zip(torch.split(tokens, rows), torch.split(following, rows), strict=True)
