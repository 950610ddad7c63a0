"""A trained network made smaller: other number formats and fewer hidden units, and the empty shell of such a one.

A method is a name, or several joined by ``+`` and applied in turn: ``prune25`` (any share in per cent), ``bf16``,
``int8``. What it does to a network's structure depends on the name alone, so a saved model needs to keep only that.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator
from typing import Protocol, TypeVar, runtime_checkable

import torch
from torch import Tensor, nn

from aigc.errors import InvalidInputError
from aigc.generate.int8 import Int8Linear

__all__ = ["Compressible", "Prunable", "compressed", "compressed_shell"]

_METHOD = re.compile(r"(?:prune[1-9][0-9]?|bf16|int8)(?:\+(?:prune[1-9][0-9]?|bf16|int8))*")
_MULTIPLE = 8
_CONVERTED = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.ConvTranspose2d, nn.Embedding)

Module = TypeVar("Module", bound=nn.Module)


@runtime_checkable
class Prunable(Protocol):
    """A network that says where hidden units may go."""

    def hidden_pairs(self) -> Iterator[tuple[nn.Module, nn.Module]]:
        """(producer, consumer): linear layers or plain convolutions with nothing but elementwise functions between.

        An input of the consumer beyond the producer's outputs, such as an embedding that is appended, stays.
        """
        ...


@runtime_checkable
class Compressible(Protocol):
    """A generator that can be served compressed."""

    @property
    def compression(self) -> str:
        """The method that was applied; "" for none."""
        ...

    def with_compression(self, method: str) -> Compressible:
        """A copy with the method of this module applied to the networks that serve.

        Raises:
            InvalidInputError: No such method, or it was compressed already.
        """
        ...


def compressed(network: Module, method: str) -> Module:
    """A copy of the network, compressed.

    Pruning drops the hidden units of the smallest |incoming| · |outgoing| (structured magnitude pruning, after Li et
    al. 2017): single weights at zero would make nothing faster.

    Raises:
        InvalidInputError: The method is unknown, or is pruning and the network does not say where.
    """
    made = copy.deepcopy(network)
    for step in _steps(method):
        _apply(made, step, trained=True)
    return made


def compressed_shell(network: Module, method: str) -> Module:
    """The untrained network given the structure of a compressed one, to be filled with its tensors; "" for as it is."""
    for step in _steps(method) if method else ():
        _apply(network, step, trained=False)
    return network


def _steps(method: str) -> list[str]:
    if not _METHOD.fullmatch(method):
        raise InvalidInputError(
            f"method is {method[:64]!r}: take prune1 to prune99, bf16, int8, or several joined by '+'", field="method"
        )
    return method.split("+")


def _apply(network: nn.Module, step: str, trained: bool) -> None:
    if step == "int8":
        _round_linear_layers(network)
    elif step == "bf16":
        for module in network.modules():
            if isinstance(module, _CONVERTED):
                module.to(torch.bfloat16)
    else:
        if not isinstance(network, Prunable):
            raise InvalidInputError(
                f"{type(network).__name__} does not say where units may go: take bf16 or int8", field="method"
            )
        share = int(step.removeprefix("prune")) / 100
        for producer, consumer in network.hidden_pairs():
            _prune(producer, consumer, share, trained)


def _round_linear_layers(network: nn.Module) -> None:
    for name, child in list(network.named_children()):
        if isinstance(child, nn.Linear):
            setattr(network, name, Int8Linear.of(child))
        else:
            _round_linear_layers(child)


def _prune(producer: nn.Module, consumer: nn.Module, share: float, trained: bool) -> None:
    assert isinstance(producer, nn.Linear | nn.Conv2d)
    assert isinstance(consumer, nn.Linear | nn.Conv2d)
    units = producer.weight.shape[0]
    # Kernels work on whole vectors: 25 units cost what 32 do.
    kept = min(units, max(_MULTIPLE, round(units * (1 - share) / _MULTIPLE) * _MULTIPLE))
    if trained:
        incoming = producer.weight.detach().float().flatten(1).norm(dim=1)
        outgoing = consumer.weight.detach().float()[:, :units].transpose(0, 1).flatten(1).norm(dim=1)
        rows = torch.sort(torch.argsort(incoming * outgoing, descending=True, stable=True)[:kept]).values
    else:
        rows = torch.arange(kept)
    columns = torch.cat([rows, torch.arange(units, consumer.weight.shape[1])])
    producer.weight = _part(producer.weight, rows, 0)
    if producer.bias is not None:
        producer.bias = _part(producer.bias, rows, 0)
    consumer.weight = _part(consumer.weight, columns, 1)
    _tell(producer, "out", kept)
    _tell(consumer, "in", len(columns))


def _part(weight: Tensor, rows: Tensor, dim: int) -> nn.Parameter:
    chosen = weight.detach().index_select(dim, rows.to(weight.device))
    if chosen.ndim == 4:
        chosen = chosen.contiguous(memory_format=torch.channels_last)
    return nn.Parameter(chosen, requires_grad=weight.requires_grad)


def _tell(layer: nn.Linear | nn.Conv2d, side: str, size: int) -> None:
    setattr(layer, f"{side}_features" if isinstance(layer, nn.Linear) else f"{side}_channels", size)
