"""Decoding by torch, for models on a GPU. Greedy texts are the CPU's but for near ties; the kernel's rows are exact."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

import torch
from torch import Tensor
from torch.nn import functional

from aigc.generate.transformer import Attention, Block, FeedForward, Transformer, rotate

__all__ = ["TorchDecoder"]


class TorchDecoder:
    """See :class:`aigc.generate.decoder.Decoder`. Running texts attend together, a new prompt's piece by itself."""

    def __init__(self, network: Transformer, slots: int = 16) -> None:
        """The weights are shared with ``network``, and stay in its precision; they must not change."""
        o = network.options
        self.slots, self.context, self.vocabulary_size = slots, o.context, o.vocabulary_size
        self._network = network.eval()
        weight = network.embedding.weight
        self._device = weight.device
        shape = (o.layers, 2, slots, o.context, o.key_heads, o.head_size)
        self._cache = torch.zeros(shape, device=self._device, dtype=weight.dtype)

    @torch.inference_mode()
    def forward(
        self, slots: Sequence[int], tokens: Sequence[int], positions: Sequence[int], wanted: Sequence[int]
    ) -> Tensor:
        """See :class:`aigc.generate.decoder.Decoder`."""
        network = self._network
        pieces = [(slot, len(list(same))) for slot, same in groupby(slots)]
        rows, places = self._tensor(slots), self._tensor(positions)
        groups = _groups(pieces, positions)
        x = network.embedding(self._tensor(tokens))  # (R, C)
        cos, sin = network.cos[places], network.sin[places]  # (R, 1, D/2)
        for block, cache in zip(network.blocks, self._cache, strict=True):
            assert isinstance(block, Block)
            x = x + self._attention(block, cache, x, rows, places, cos, sin, groups)
            feed = block.feed
            assert isinstance(feed, FeedForward)
            x = x + feed(block.feed_norm(x))
        last = network.norm(x[self._tensor(wanted)])
        return network.logits(last).float()

    @torch.inference_mode()
    def copy(self, source: int, target: int, length: int) -> None:
        """See :class:`aigc.generate.decoder.Decoder`."""
        self._cache[:, :, target, :length] = self._cache[:, :, source, :length]

    def _attention(
        self,
        block: Block,
        cache: Tensor,
        x: Tensor,
        rows: Tensor,
        places: Tensor,
        cos: Tensor,
        sin: Tensor,
        groups: list[tuple[slice, int]],
    ) -> Tensor:
        """(R, C) of (R, C); ``cache`` (2, slots, context, Hk, D)."""
        attention = block.attention
        assert isinstance(attention, Attention)
        heads, key_heads, size = attention.heads, attention.key_heads, attention.head_size
        qkv = attention.qkv(block.attention_norm(x)).view(len(x), -1, size)  # (R, H + 2 Hk, D)
        q, k, v = qkv.split((heads, key_heads, key_heads), dim=1)
        q = rotate(attention.q_norm(q), cos, sin).to(v.dtype)
        cache[0, rows, places] = rotate(attention.k_norm(k), cos, sin).to(cache.dtype)
        cache[1, rows, places] = v
        outputs = []
        for part, longest in groups:
            own = rows[part]
            if len(own) > 1 and bool((own == own[0]).all()):
                keys, values = cache[:, own[:1], :longest].transpose(2, 3)  # (1, Hk, L, D) each
                query = q[part].transpose(0, 1).unsqueeze(0)  # (1, H, T, D)
            else:
                keys, values = cache[:, own, :longest].transpose(2, 3)  # (T, Hk, L, D) each
                query = q[part].unsqueeze(2)  # (T, H, 1, D)
            mask = torch.arange(longest, device=x.device) <= places[part, None]  # (T, L)
            mask = mask[None, None] if query.shape[0] == 1 else mask[:, None, None]
            y = functional.scaled_dot_product_attention(query, keys, values, mask, enable_gqa=heads != key_heads)
            outputs.append(y.transpose(1, 2).reshape(len(own), -1))
        out: Tensor = attention.out(torch.cat(outputs))
        return out

    def _tensor(self, values: Sequence[int]) -> Tensor:
        return torch.tensor(list(values), dtype=torch.int64, device=self._device)


def _groups(pieces: Sequence[tuple[int, int]], positions: Sequence[int]) -> list[tuple[slice, int]]:
    """Rows that attend in one call, and how many keys the longest sees: neighbours of one token each, or one piece."""
    found: list[tuple[slice, int]] = []
    at = 0
    for single, same in groupby(pieces, key=lambda piece: piece[1] == 1):
        counts = [count for _, count in same]
        for count in [sum(counts)] if single else counts:
            part = slice(at, at + count)
            found.append((part, max(positions[part]) + 1))
            at += count
    return found
