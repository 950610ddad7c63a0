"""What decodes: slots that hold a text's keys and values each, on the CPU by the kernel, elsewhere by torch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from aigc.generate.transformer import Attention, Block, FeedForward, Transformer
from aigc.kernel import TextDecoder

__all__ = ["Decoder", "KernelDecoder", "make_decoder"]


class Decoder(Protocol):
    """What the engine runs.

    Attributes:
        slots: How many texts at once.
        context: Most tokens of a text, prompt included.
        vocabulary_size: Length of a row of logits.
    """

    slots: int
    context: int
    vocabulary_size: int

    def forward(
        self, slots: Sequence[int], tokens: Sequence[int], positions: Sequence[int], wanted: Sequence[int]
    ) -> Tensor:
        """Take in a token a row, each at its position of the text in its slot; a text's own tokens in order.

        So one call holds the next token of every running text and pieces of new prompts alike.

        Returns:
            (len(wanted), vocabulary_size) float32 logits after the rows with these indices, the caller's to change.
        """
        ...

    def copy(self, source: int, target: int, length: int) -> None:
        """Give slot ``target`` the first ``length`` positions of slot ``source``."""
        ...


def make_decoder(network: Transformer, slots: int = 16, threads: int = 0) -> Decoder:
    """The decoder for where the network's weights are.

    Args:
        network: Causal; must not change afterwards.
        slots: Texts at once.
        threads: Of the CPU; 0 for torch's number.
    """
    if network.embedding.weight.device.type == "cpu":
        return KernelDecoder(network, slots, threads)
    from aigc.generate.torch_decoder import TorchDecoder

    return TorchDecoder(network, slots)


class KernelDecoder:
    """See :class:`Decoder`: the C++ kernel, in float32.

    A row's logits depend on its own text alone, to the last bit: every sum runs in an order of its own, whatever the
    other rows, their number and the number of threads. Matrix libraries do not promise that. Measured with MKL here:
    products of fewer than 4 rows (8 with two threads) differ in their last bits from those of more, and attention
    differs with padding; padding all of it costs more than the products themselves.
    """

    def __init__(self, network: Transformer, slots: int = 16, threads: int = 0) -> None:
        """The weights are copied, in the kernel's own layout."""
        o = network.options
        self.slots, self.context, self.vocabulary_size = slots, o.context, o.vocabulary_size
        embedding = _array(network.embedding.weight)
        self._kernel = TextDecoder(
            heads=o.heads,
            key_heads=o.key_heads,
            head_size=o.head_size,
            width=o.width,
            hidden=o.hidden,
            vocabulary=o.vocabulary_size,
            context=o.context,
            slots=slots,
            gated=o.activation == "swiglu",
            epsilon=o.epsilon,
            embedding=embedding,
            layers=[_layer(block) for block in network.blocks],
            norm=_array(network.norm.weight),
            head=embedding if network.head is None else _array(network.head.weight),
            cos=_array(network.cos[:, 0]),
            sin=_array(network.sin[:, 0]),
            threads=threads or torch.get_num_threads(),
        )

    def forward(
        self, slots: Sequence[int], tokens: Sequence[int], positions: Sequence[int], wanted: Sequence[int]
    ) -> Tensor:
        """See :class:`Decoder`."""
        return torch.from_numpy(self._kernel.forward(slots, tokens, positions, wanted))

    def copy(self, source: int, target: int, length: int) -> None:
        """See :class:`Decoder`."""
        self._kernel.copy(source, target, length)


def _array(tensor: Tensor) -> NDArray[np.float32]:
    array: NDArray[np.float32] = tensor.detach().float().contiguous().numpy()
    return array


def _layer(block: object) -> dict[str, NDArray[np.float32]]:
    assert isinstance(block, Block)
    attention, feed = block.attention, block.feed
    assert isinstance(attention, Attention)
    assert isinstance(feed, FeedForward)
    weights = {
        "attention_norm": block.attention_norm.weight,
        "qkv": attention.qkv.weight,
        "q_norm": attention.q_norm.weight,
        "k_norm": attention.k_norm.weight,
        "out": attention.out.weight,
        "feed_norm": block.feed_norm.weight,
        "up": feed.up.weight,
        "down": feed.down.weight,
    }
    return {name: _array(weight) for name, weight in weights.items()}
