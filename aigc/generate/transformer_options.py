"""The shape of a transformer: free of torch, so that what trains can be checked where torch is not loaded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from aigc.errors import InvalidInputError

__all__ = ["Activation", "TransformerOptions"]

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
