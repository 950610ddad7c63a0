"""The blocks that the GPT and the BERT share: RMSNorm, RoPE, QK-norm, SwiGLU or ReLU², no biases."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from aigc.errors import InvalidInputError
from aigc.generate.transformer_options import TransformerOptions

__all__ = ["Attention", "Block", "FeedForward", "RmsNorm", "Transformer", "TransformerOptions", "rope_table", "rotate"]


def rope_table(length: int, head_size: int, base: float) -> tuple[Tensor, Tensor]:
    """Cosines and sines of rotary positions (Su et al. 2021), each (length, head_size / 2) float32."""
    rates = 1.0 / base ** (torch.arange(0, head_size, 2, dtype=torch.float32) / head_size)
    angles = torch.outer(torch.arange(length, dtype=torch.float32), rates)
    return angles.cos(), angles.sin()


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Turn the pairs (i, i + D/2) of each head by their position's angle, the pairing that Llama and Qwen use.

    Args:
        x: (..., T, H, D).
        cos: (T, 1, D / 2).
        sin: (T, 1, D / 2).
    """
    a, b = x.chunk(2, dim=-1)  # (..., T, H, D/2) each
    return torch.cat((a * cos - b * sin, b * cos + a * sin), dim=-1)


class RmsNorm(nn.Module):
    """x / √(mean(x²) + ε) · weight (Zhang and Sennrich 2019), over the last dimension."""

    def __init__(self, size: int, epsilon: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(size))
        self.epsilon = epsilon

    def forward(self, x: Tensor) -> Tensor:
        """The same shape."""
        return functional.rms_norm(x, self.weight.shape, self.weight, self.epsilon)


class Attention(nn.Module):
    """Attention with rotary positions; queries and keys are normalised first (Henry et al. 2020)."""

    def __init__(self, options: TransformerOptions, *, causal: bool) -> None:
        super().__init__()
        o = options
        self.heads, self.key_heads, self.head_size = o.heads, o.key_heads, o.head_size
        self.causal = causal
        self.dropout = o.dropout
        self.qkv = nn.Linear(o.width, (o.heads + 2 * o.key_heads) * o.head_size, bias=False)
        self.q_norm = RmsNorm(o.head_size, o.epsilon)
        self.k_norm = RmsNorm(o.head_size, o.epsilon)
        self.out = nn.Linear(o.heads * o.head_size, o.width, bias=False)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor, mask: Tensor | None) -> Tensor:
        """(B, T, C) of (B, T, C); ``mask`` (B, 1, 1, T) bool, True where a key may be seen."""
        rows, length, _ = x.shape
        qkv = self.qkv(x).view(rows, length, -1, self.head_size)  # (B, T, H + 2 Hk, D)
        # Norms and angles in float32, whatever the matrices are in.
        q, k, v = qkv.split((self.heads, self.key_heads, self.key_heads), dim=2)
        q = rotate(self.q_norm(q.float()), cos, sin).to(v.dtype).transpose(1, 2)  # (B, H, T, D)
        k = rotate(self.k_norm(k.float()), cos, sin).to(v.dtype).transpose(1, 2)  # (B, Hk, T, D)
        v = v.transpose(1, 2)  # (B, Hk, T, D)
        if v.dtype == torch.bfloat16 and v.device.type == "cpu":
            y = _attend_in_bfloat16(q, k, v, mask, causal=self.causal)
        else:
            grouped = self.key_heads != self.heads
            y = functional.scaled_dot_product_attention(
                q, k, v, attn_mask=mask, is_causal=self.causal, enable_gqa=grouped
            )
        y = self.out(y.transpose(1, 2).reshape(rows, length, -1))
        return functional.dropout(y, self.dropout, self.training)


def _attend_in_bfloat16(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, *, causal: bool) -> Tensor:
    """Attention with the scores written out: on a CPU twice as fast in training as torch's own in bfloat16.

    Args:
        q: (B, H, T, D).
        k: (B, Hk, T, D).
        v: (B, Hk, T, D).
        mask: (B, 1, 1, T) bool, True where a key may be seen.
        causal: Whether a position sees the ones before it only.
    """
    rows, heads, length, size = q.shape
    if k.shape[1] != heads:
        k, v = (x.repeat_interleave(heads // k.shape[1], dim=1) for x in (k, v))
    bias = torch.zeros(1, length, length, dtype=q.dtype)
    if causal:
        bias = bias.masked_fill(torch.ones(length, length, dtype=torch.bool).triu(1), float("-inf"))
    if mask is not None:
        bias = bias.masked_fill(~mask[:, 0], float("-inf")).repeat_interleave(heads, dim=0)
    with torch.autocast("cpu", enabled=False):
        q, k, v = (x.reshape(rows * heads, length, size) for x in (q, k, v))
        scores = torch.baddbmm(bias, q, k.transpose(1, 2), alpha=size**-0.5)  # (B H, T, T)
        return (torch.softmax(scores, dim=-1) @ v).view(rows, heads, length, size)


class FeedForward(nn.Module):
    """SwiGLU, silu(x A) ⊙ (x B) C, or ReLU², relu(x A)² C."""

    def __init__(self, options: TransformerOptions) -> None:
        super().__init__()
        self.gated = options.activation == "swiglu"
        self.dropout = options.dropout
        self.up = nn.Linear(options.width, options.hidden * (2 if self.gated else 1), bias=False)
        self.down = nn.Linear(options.hidden, options.width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, C) of (B, T, C)."""
        h = self.up(x)
        if self.gated:
            gate, h = h.chunk(2, dim=-1)  # (B, T, hidden) each
            h = functional.silu(gate) * h
        else:
            h = functional.relu(h).square()
        return functional.dropout(self.down(h), self.dropout, self.training)


class Block(nn.Module):
    """x + attention(norm x), then x + feed-forward(norm x)."""

    def __init__(self, options: TransformerOptions, *, causal: bool) -> None:
        super().__init__()
        self.attention_norm = RmsNorm(options.width, options.epsilon)
        self.attention = Attention(options, causal=causal)
        self.feed_norm = RmsNorm(options.width, options.epsilon)
        self.feed = FeedForward(options)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor, mask: Tensor | None) -> Tensor:
        """(B, T, C) of (B, T, C)."""
        x = x + self.attention(self.attention_norm(x), cos, sin, mask)
        out: Tensor = x + self.feed(self.feed_norm(x))
        return out


class Transformer(nn.Module):
    """Tokens → hidden states → logits; ``causal`` for a GPT, both ways for a BERT."""

    cos: Tensor
    sin: Tensor

    def __init__(self, options: TransformerOptions, *, causal: bool) -> None:
        super().__init__()
        self.options = options
        self.embedding = nn.Embedding(options.vocabulary_size, options.width)
        self.blocks = nn.ModuleList(Block(options, causal=causal) for _ in range(options.layers))
        self.norm = RmsNorm(options.width, options.epsilon)
        self.head = None if options.tied else nn.Linear(options.width, options.vocabulary_size, bias=False)
        cos, sin = rope_table(options.context, options.head_size, options.rope_base)
        self.register_buffer("cos", cos.unsqueeze(1), persistent=False)  # (context, 1, D/2)
        self.register_buffer("sin", sin.unsqueeze(1), persistent=False)

    def initialize(self, seed: int) -> None:
        """Fresh weights: matrices of unit gain, and zeros where a block writes, so that each begins as nothing."""
        source = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            for name, weight in self.named_parameters():
                if weight.ndim < 2:
                    weight.fill_(1.0)
                elif name.endswith(("out.weight", "down.weight")):
                    weight.zero_()
                elif name == "embedding.weight" or name == "head.weight":
                    weight.copy_(torch.randn(weight.shape, generator=source) * 0.02)
                else:
                    spread = weight.shape[1] ** -0.5
                    weight.copy_(torch.randn(weight.shape, generator=source) * spread)

    def hidden(self, tokens: Tensor, mask: Tensor | None = None) -> Tensor:
        """(B, T, C) states after the last norm, of (B, T) int64 tokens; ``mask`` (B, T) bool, True for real tokens."""
        length = tokens.shape[1]
        if length > self.options.context:
            raise InvalidInputError(
                f"{length} tokens are more than the context of {self.options.context}; cut the text", field="tokens"
            )
        x = functional.dropout(self.embedding(tokens), self.options.dropout, self.training)  # (B, T, C)
        keys = None if mask is None else mask[:, None, None, :]
        for block in self.blocks:
            x = block(x, self.cos[:length], self.sin[:length], keys)
        out: Tensor = self.norm(x)
        return out

    def logits(self, hidden: Tensor) -> Tensor:
        """(..., vocabulary_size) of (..., C)."""
        return functional.linear(hidden, self.embedding.weight if self.head is None else self.head.weight)

    def forward(self, tokens: Tensor, mask: Tensor | None = None) -> Tensor:
        """(B, T, vocabulary_size) logits of (B, T) int64 tokens."""
        return self.logits(self.hidden(tokens, mask))
