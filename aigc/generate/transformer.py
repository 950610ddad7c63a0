"""The blocks that the GPT and the BERT share: RMSNorm, RoPE, QK-norm, SwiGLU or ReLU², no biases."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from aigc.errors import InvalidInputError

__all__ = ["Attention", "Block", "FeedForward", "RmsNorm", "Transformer", "TransformerOptions", "rope_table", "rotate"]

Activation = Literal["swiglu", "relu2"]


@dataclass(frozen=True, slots=True)
class TransformerOptions:
    """The shape of a model.

    Attributes:
        vocabulary_size: Number of tokens.
        context: Most tokens that the model looks at.
        layers: Number of blocks.
        heads: Query heads of each attention.
        key_heads: Key and value heads, each shared by ``heads / key_heads`` query heads (grouped queries, Ainslie et
            al. 2023); 0 for as many as ``heads``.
        head_size: Length of a head's vectors; even. 0 for ``width / heads``.
        width: Length of the residual stream.
        hidden: Width of the feed-forward part. 0 for about as many weights as four times the width would give.
        activation: ``swiglu`` (Shazeer 2020) or ``relu2`` (So et al. 2021).
        dropout: Of the embedding, the attention's and the feed-forward's output, in training; in [0, 1).
        rope_base: θ of the rotary positions.
        epsilon: Added to the mean square of RMSNorm.
        tied: Whether the output layer is the embedding (Press and Wolf 2017).
    """

    vocabulary_size: int
    context: int = 256
    layers: int = 6
    heads: int = 6
    key_heads: int = 0
    head_size: int = 0
    width: int = 384
    hidden: int = 0
    activation: Activation = "swiglu"
    dropout: float = 0.0
    rope_base: float = 10_000.0
    epsilon: float = 1e-6
    tied: bool = True

    def __post_init__(self) -> None:
        for name in ("vocabulary_size", "context", "layers", "heads", "width"):
            _check(getattr(self, name) >= 1, name, getattr(self, name), "a whole number of at least 1")
        _check(self.activation in ("swiglu", "relu2"), "activation", self.activation, '"swiglu" or "relu2"')
        _check(0 <= self.dropout < 1, "dropout", self.dropout, "a number in [0, 1)")
        _check(self.rope_base > 1, "rope_base", self.rope_base, "a number above 1, such as 10000")
        _check(self.epsilon > 0, "epsilon", self.epsilon, "a small number above 0, such as 1e-6")
        _check(self.hidden >= 0, "hidden", self.hidden, "0 for the usual width, or more")
        if self.head_size == 0:
            _check(self.width % self.heads == 0, "width", self.width, f"a multiple of the {self.heads} heads")
            object.__setattr__(self, "head_size", self.width // self.heads)
        _check(self.head_size > 0 and self.head_size % 2 == 0, "head_size", self.head_size, "an even number above 0")
        if self.key_heads == 0:
            object.__setattr__(self, "key_heads", self.heads)
        _check(
            self.key_heads > 0 and self.heads % self.key_heads == 0,
            "key_heads",
            self.key_heads,
            f"a divisor of the {self.heads} heads",
        )
        if self.hidden == 0:
            # Three matrices of 8/3 or two of 4 widths: the same number of weights; whole cache lines.
            factor = 8 / 3 if self.activation == "swiglu" else 4
            object.__setattr__(self, "hidden", max(16, round(self.width * factor / 16) * 16))


def _check(holds: bool, field: str, value: object, remedy: str) -> None:
    if not holds:
        raise InvalidInputError(f"{field} is {value!r}; give {remedy}", field=field)


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
