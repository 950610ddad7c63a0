"""A transformer with fewer hidden units in its feed-forward parts."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from aigc.errors import InvalidInputError
from aigc.generate.transformer import Block, FeedForward, Transformer

__all__ = ["pruned_transformer"]

_MULTIPLE = 16


def pruned_transformer(network: Transformer, share: float, *, causal: bool) -> Transformer:
    """A copy without that share of each block's hidden units: those whose product of weights' lengths is smallest.

    Structured magnitude pruning (after Li et al. 2017): a unit's weight is how much of it can pass, |gate| · |up| ·
    |down| for SwiGLU and |up|² · |down| for ReLU². Every block keeps the same number, whole cache lines of them, so the
    result is an ordinary transformer of a smaller ``hidden``.

    Args:
        network: Trained.
        share: In (0, 1).
        causal: As of the network.

    Raises:
        InvalidInputError: The share is none.
    """
    if not 0 < share < 1:
        raise InvalidInputError(f"share is {share}: take a number between 0 and 1", field="share")
    options = network.options
    kept = min(options.hidden, max(_MULTIPLE, round(options.hidden * (1 - share) / _MULTIPLE) * _MULTIPLE))
    made = Transformer(replace(options, hidden=kept), causal=causal)
    state = dict(network.state_dict())
    for i, block in enumerate(network.blocks):
        assert isinstance(block, Block)
        up, down = _pruned(block.feed, kept)
        state[f"blocks.{i}.feed.up.weight"], state[f"blocks.{i}.feed.down.weight"] = up, down
    made.load_state_dict(state)
    return made.to(network.embedding.weight.device).eval()


def _pruned(feed: FeedForward, kept: int) -> tuple[Tensor, Tensor]:
    up, down = feed.up.weight.detach(), feed.down.weight.detach()  # (hidden or twice that, C), (C, hidden)
    lengths = up.float().norm(dim=1)
    parts = lengths.chunk(2) if feed.gated else (lengths, lengths)
    worth = parts[0] * parts[1] * down.float().norm(dim=0)  # (hidden,)
    rows = torch.sort(torch.argsort(worth, descending=True, stable=True)[:kept]).values
    if feed.gated:
        return torch.cat([half.index_select(0, rows) for half in up.chunk(2)]), down.index_select(1, rows)
    return up.index_select(0, rows), down.index_select(1, rows)
