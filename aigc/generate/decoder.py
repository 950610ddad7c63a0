"""A GPT's forward pass for decoding: a key-value cache of fixed size, and as few operations a step as possible.

What a row gives depends on that row alone, to the last bit. Matrix products on a CPU promise no such thing: MKL takes
another path for few rows than for many. Measured here (float32, AVX-512, one and two threads): from 8 rows on, in
multiples of 8, every row's product has the same bits whatever the other rows and their number; attention has, for keys
padded to multiples of 16 and two rows at least. So rows are padded to 8 and keys to 16; masked keys add exact zeros.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional

from aigc.generate.transformer import Attention, Block, FeedForward, Transformer

__all__ = ["CHUNK", "CachedDecoder", "Decoder"]

# Prompts are computed in pieces of so many tokens, cut at multiples of it: a prefix that another prompt shares has the
# same bits then, and a long prompt never holds up the running rows for longer than one piece takes.
CHUNK = 32
_ROWS = 8
_KEYS = 16


class Decoder(Protocol):
    """What the engine runs: slots that each hold one text's state.

    Attributes:
        slots: How many texts at once.
        context: Most tokens of a text, prompt included.
        vocabulary_size: Length of a row of logits.
    """

    slots: int
    context: int
    vocabulary_size: int

    def prefill(self, slot: int, tokens: Sequence[int], start: int) -> Tensor:
        """Take in tokens ``[start : start + CHUNK]`` of a text; ``start`` is a multiple of CHUNK.

        Returns:
            (vocabulary_size,) float32 logits after the last of them.
        """
        ...

    def step(self, slots: Sequence[int], tokens: Sequence[int], positions: Sequence[int]) -> Tensor:
        """Take in one more token a row, at its position.

        Returns:
            (len(slots), vocabulary_size) float32 logits after it, the caller's to change.
        """
        ...

    def copy(self, source: int, target: int, length: int) -> None:
        """Give slot ``target`` the first ``length`` positions of slot ``source``."""
        ...


class CachedDecoder:
    """See :class:`Decoder`: a :class:`Transformer` with its weights laid out for it."""

    def __init__(self, network: Transformer, slots: int = 16) -> None:
        """Args: network: its weights are shared, not copied, and must not change; slots: texts at once."""
        o = network.options
        self.slots, self.context, self.vocabulary_size = slots, o.context, o.vocabulary_size
        self._network = network.eval()
        self._device = network.embedding.weight.device
        self._rows = -(-slots // _ROWS) * _ROWS
        # One position more than the context: rows that hold no text write there.
        self._length = -(-(o.context + 1) // _KEYS) * _KEYS
        shape = (o.layers, 2, self._rows, self._length, o.key_heads, o.head_size)
        self._cache = torch.zeros(shape, device=self._device)
        with torch.inference_mode():
            self._layers = [_Layer(block, self._cache[i]) for i, block in enumerate(network.blocks)]  # type: ignore[arg-type]
        # (context, 1, D): both halves of a head turn by the same angles.
        cos, sin = network.cos, network.sin
        self._cos = torch.cat((cos, cos), -1)
        self._sin = torch.cat((-sin, sin), -1)
        self._steps = torch.arange(self._length, device=self._device)

    @torch.inference_mode()
    def prefill(self, slot: int, tokens: Sequence[int], start: int) -> Tensor:
        """See :class:`Decoder`."""
        piece = tokens[start : start + CHUNK]
        padded = torch.tensor([*piece, *[piece[-1]] * (CHUNK - len(piece))], device=self._device)
        places = torch.arange(start, start + CHUNK, device=self._device)
        angles = places.clamp(max=self.context - 1)
        # Padding beyond the context has no place of its own.
        where = places.clamp(max=self._length - 1) + slot * self._length
        keys = min(-(-(start + CHUNK) // _KEYS) * _KEYS, self._length)
        mask = self._steps[None, :keys] <= places[:, None]  # (CHUNK, keys)
        x = self._network.embedding(padded)  # (CHUNK, C)
        cos, sin = self._cos[angles], self._sin[angles]
        for layer in self._layers:
            x = layer(x, cos, sin, where, slice(slot, slot + 1), keys, mask)
        last = self._network.norm(x[len(piece) - 1 : len(piece)])
        logits = self._network.logits(last.expand(_ROWS, -1))
        return logits[0].clone()

    @torch.inference_mode()
    def step(self, slots: Sequence[int], tokens: Sequence[int], positions: Sequence[int]) -> Tensor:
        """See :class:`Decoder`."""
        top = max(slots) + 1
        rows = -(-top // _ROWS) * _ROWS
        row_tokens, row_places = [0] * rows, [self.context] * rows
        for slot, token, position in zip(slots, tokens, positions, strict=True):
            row_tokens[slot], row_places[slot] = token, position
        longest = max(positions) + 1
        keys = -(-longest // _KEYS) * _KEYS
        places = torch.tensor(row_places, device=self._device)
        angles = places.clamp(max=self.context - 1)
        where = places + self._steps_of_rows(rows)
        attended = max(2, top)
        mask = self._steps[None, :keys] <= places[:attended, None]  # (rows, keys)
        bias = torch.zeros(mask.shape, device=self._device).masked_fill_(~mask, float("-inf"))[:, None, None, :]
        x = functional.embedding(torch.tensor(row_tokens, device=self._device), self._network.embedding.weight)
        cos, sin = self._cos[angles], self._sin[angles]  # (rows, 1, D)
        for layer in self._layers:
            x = layer(x, cos, sin, where, slice(0, attended), keys, bias)
        logits = self._network.logits(self._network.norm(x))  # (rows, V)
        return logits[torch.tensor(slots, device=self._device)]

    @torch.inference_mode()
    def copy(self, source: int, target: int, length: int) -> None:
        """See :class:`Decoder`."""
        self._cache[:, :, target, :length] = self._cache[:, :, source, :length]

    def _steps_of_rows(self, rows: int) -> Tensor:
        return torch.arange(0, rows * self._length, self._length, device=self._device)


class _Layer:
    """One block on rows of single tokens."""

    def __init__(self, block: Block, cache: Tensor) -> None:
        """Args: cache: (2, rows, length, Hk, D), keys and values."""
        attention, feed = block.attention, block.feed
        assert isinstance(attention, Attention)
        assert isinstance(feed, FeedForward)
        self._heads, self._key_heads, self._size = attention.heads, attention.key_heads, attention.head_size
        self._epsilon = attention.q_norm.epsilon
        self._attention_norm, self._feed_norm = block.attention_norm.weight, block.feed_norm.weight
        self._qkv, self._out = attention.qkv.weight, attention.out.weight
        self._up, self._down, self._gated = feed.up.weight, feed.down.weight, feed.gated
        gains = [attention.q_norm.weight] * self._heads + [attention.k_norm.weight] * self._key_heads
        self._gain = torch.stack([g.detach() for g in gains])  # (H + Hk, D)
        self._keys, self._values = cache[0], cache[1]  # (rows, length, Hk, D)
        width = self._key_heads * self._size
        self._flat_keys, self._flat_values = self._keys.view(-1, width), self._values.view(-1, width)

    def __call__(self, x: Tensor, cos: Tensor, sin: Tensor, where: Tensor, rows: slice, keys: int, mask: Tensor) -> Tensor:
        """(R, C) of (R, C).

        Args:
            x: One token a row.
            cos: (R, 1, D).
            sin: (R, 1, D), negative in the first half.
            where: (R,) rows of the flattened cache that take the new keys and values.
            rows: Texts that attend: R of them with one token each, or one with all R tokens.
            keys: How many positions they look at.
            mask: Additive (rows, 1, 1, keys), or (R, keys) bool.
        """
        heads, key_heads, size = self._heads, self._key_heads, self._size
        count = x.shape[0]
        turned = heads + key_heads
        h = functional.rms_norm(x, self._attention_norm.shape, self._attention_norm, self._epsilon)
        qkv = functional.linear(h, self._qkv)  # (R, (H + 2 Hk) D)
        qk = qkv[:, : turned * size].view(count, turned, size)
        qk = functional.rms_norm(qk, (size,), None, self._epsilon) * self._gain
        half = qk.view(count, turned, 2, size // 2).flip(2).view(count, turned, size)
        qk = torch.addcmul(qk * cos, half, sin)  # (R, H + Hk, D)
        self._flat_keys.index_copy_(0, where, qk[:, heads:].reshape(count, -1))
        self._flat_values.index_copy_(0, where, qkv[:, turned * size :])
        k = self._keys[rows, :keys].transpose(1, 2)  # (B, Hk, keys, D)
        v = self._values[rows, :keys].transpose(1, 2)
        batch = k.shape[0]
        q = qk[:, :heads]
        q = q.transpose(0, 1).unsqueeze(0) if mask.dtype == torch.bool else q[:batch].unsqueeze(2)  # (B, H, T, D)
        y = functional.scaled_dot_product_attention(q, k, v, attn_mask=mask, enable_gqa=heads != key_heads)
        if mask.dtype == torch.bool:
            y = y[0].transpose(0, 1).reshape(count, -1)
        else:
            y = functional.pad(y.reshape(batch, -1), (0, 0, 0, count - batch))
        x = x + functional.linear(y, self._out)
        h = functional.rms_norm(x, self._feed_norm.shape, self._feed_norm, self._epsilon)
        h = functional.linear(h, self._up)
        if self._gated:
            gate, h = h.chunk(2, dim=-1)
            h = functional.silu(gate) * h
        else:
            h = functional.relu(h).square()
        return x + functional.linear(h, self._down)
