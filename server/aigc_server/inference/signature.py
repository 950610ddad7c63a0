"""What a model takes and gives, and whether a call fits it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from aigc.errors import InvalidInputError
from aigc_server.converters.tensor import GivenTensor, Tensor

__all__ = ["Parameters", "Signature", "TensorSpec"]

# What clients send of their own accord and what means nothing here.
_IGNORED = (
    "sequence_id",
    "sequence_start",
    "sequence_end",
    "priority",
    "timeout",
    "headers",
    "content_type",
    "triton_enable_empty_final_response",
)


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """A tensor of a model.

    Attributes:
        name: Of the tensor.
        datatypes: The declared one first; an input may also come in the others.
        shape: -1 for any size; the first dimension of all of a model's inputs is the batch.
        required: Whether a call must give it.
        default: Whether an output comes without being asked for.
    """

    name: str
    datatypes: tuple[str, ...]
    shape: tuple[int, ...] = (-1,)
    required: bool = False
    default: bool = True

    def check(self, given: GivenTensor) -> None:
        """Raise InvalidInputError, naming the input, unless a tensor is of this kind."""
        if given.datatype not in self.datatypes:
            raise InvalidInputError(
                f"input {self.name!r} is of datatype {given.datatype}; give {' or '.join(self.datatypes)}",
                field=f"{given.field}.datatype",
            )
        shape = given.values.shape
        fits = len(shape) == len(self.shape) and all(
            want in (-1, got) for got, want in zip(shape, self.shape, strict=True)
        )
        if not fits:
            raise InvalidInputError(
                f"input {self.name!r} has shape {list(shape)}; give {list(self.shape)}, -1 being any size",
                field=f"{given.field}.shape",
            )


@dataclass(frozen=True, slots=True)
class Signature:
    """A model's tensors and the names of its parameters."""

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    parameters: tuple[str, ...] = ()

    def read(self, given: Mapping[str, GivenTensor]) -> dict[str, Tensor]:
        """The inputs of a call by name; those of one element stand for all rows, as NumPy would have it.

        Raises:
            InvalidInputError: An input is unknown, missing, or of another datatype or shape; names it.
        """
        known = {spec.name: spec for spec in self.inputs}
        for name, tensor in given.items():
            if name not in known:
                raise InvalidInputError(
                    f"input {name[:64]!r} is unknown; this model takes {', '.join(known)}",
                    field=f"{tensor.field}.name",
                )
            known[name].check(tensor)
        for spec in self.inputs:
            if spec.required and spec.name not in given:
                raise InvalidInputError(
                    f"input {spec.name!r} is missing; give {spec.datatypes[0]} of shape {list(spec.shape)}",
                    field="inputs",
                )
        counts = {name: tensor.values.shape[0] for name, tensor in given.items()}
        rows = max(counts.values(), default=0)
        for name, count in counts.items():
            if count not in (1, rows) or count == 0:
                raise InvalidInputError(
                    f"input {name!r} has {count} rows where {max(counts, key=lambda n: counts[n])!r} has {rows}; give "
                    "as many, or one for all",
                    field=f"{given[name].field}.shape",
                )
        return {name: tensor.values for name, tensor in given.items()}

    def wanted(self, names: Sequence[str]) -> list[str]:
        """The outputs that a call gets.

        Raises:
            InvalidInputError: One of them is unknown.
        """
        known = {spec.name: spec for spec in self.outputs}
        for i, name in enumerate(names):
            if name not in known:
                raise InvalidInputError(
                    f"output {name[:64]!r} is unknown; this model gives {', '.join(known)}", field=f"outputs[{i}].name"
                )
        return list(names) or [spec.name for spec in self.outputs if spec.default]


class Parameters:
    """A call's values beside the tensors, by name; a number may also come as a text."""

    def __init__(self, given: Mapping[str, bool | int | float | str], known: Sequence[str]) -> None:
        """Raise InvalidInputError for one that the model does not know."""
        for name in given:
            if name not in known and name not in _IGNORED:
                raise InvalidInputError(
                    f"parameter {name[:64]!r} is unknown; this model takes {', '.join(known) or 'none'}",
                    field=f"parameters[{name[:64]}]",
                )
        self._given = given

    def whole(self, name: str, default: int = 0) -> int:
        """A whole number."""
        value = self._given.get(name, default)
        try:
            if isinstance(value, bool) or (number := int(value)) != float(value):
                raise ValueError
        except (ValueError, OverflowError):
            raise self._wrong(name, value, "a whole number") from None
        return number

    def number(self, name: str, default: float = 0.0) -> float:
        """A number."""
        value = self._given.get(name, default)
        try:
            if isinstance(value, bool):
                raise ValueError
            return float(value)
        except ValueError:
            raise self._wrong(name, value, "a number") from None

    def text(self, name: str) -> str:
        """A text; empty when it was not given."""
        value = self._given.get(name, "")
        if not isinstance(value, str):
            raise self._wrong(name, value, "a text")
        return value

    def flag(self, name: str) -> bool:
        """Yes or no."""
        value = self._given.get(name, False)
        if not isinstance(value, bool):
            raise self._wrong(name, value, "true or false")
        return value

    def __contains__(self, name: str) -> bool:
        return name in self._given

    def _wrong(self, name: str, value: object, remedy: str) -> InvalidInputError:
        return InvalidInputError(
            f"parameter {name!r} is {str(value)[:64]!r}; give {remedy}", field=f"parameters[{name}]"
        )
