"""What the training of a GPT and of a BERT share: options, optimiser, and reading of held-out text in windows."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from aigc.generate.muon import MuonAdamW
from aigc.generate.text_training_options import TextTrainingOptions
from aigc.generate.transformer import Transformer

__all__ = ["TextTrainingOptions", "compile_blocks", "text_optimizer", "windows"]


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
