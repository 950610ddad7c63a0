"""Tensors ↔ the Open Inference Protocol's wire."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aigc.errors import InvalidInputError
from aigc.oip import inference_pb2 as pb

__all__ = ["DATATYPES", "GivenTensor", "Tensor", "outputs_to_proto", "parameters_from_proto", "tensors_from_proto"]

Tensor = NDArray[Any]

_MOST_DIMENSIONS = 8

DATATYPES: Mapping[str, tuple[np.dtype[Any], str]] = {
    "BOOL": (np.dtype("?"), "bool_contents"),
    "UINT8": (np.dtype("u1"), "uint_contents"),
    "UINT16": (np.dtype("<u2"), "uint_contents"),
    "UINT32": (np.dtype("<u4"), "uint_contents"),
    "UINT64": (np.dtype("<u8"), "uint64_contents"),
    "INT8": (np.dtype("i1"), "int_contents"),
    "INT16": (np.dtype("<i2"), "int_contents"),
    "INT32": (np.dtype("<i4"), "int_contents"),
    "INT64": (np.dtype("<i8"), "int64_contents"),
    # No field holds half-precision numbers: they come raw.
    "FP16": (np.dtype("<f2"), ""),
    "FP32": (np.dtype("<f4"), "fp32_contents"),
    "FP64": (np.dtype("<f8"), "fp64_contents"),
    "BYTES": (np.dtype("O"), "bytes_contents"),
}
"""Datatype → numpy's, and the field that holds its elements."""


@dataclass(frozen=True, slots=True)
class GivenTensor:
    """An input as it came: ``values`` has the shape and the dtype that were declared, ``field`` is its path."""

    datatype: str
    values: Tensor
    field: str


def tensors_from_proto(request: pb.ModelInferRequest) -> dict[str, GivenTensor]:
    """The inputs by name; BYTES become arrays of ``bytes`` objects.

    Raises:
        InvalidInputError: Names the input, its field, and what is wrong.
    """
    raw = request.raw_input_contents
    if raw and len(raw) != len(request.inputs):
        raise InvalidInputError(
            f"raw_input_contents has {len(raw)} entries for {len(request.inputs)} inputs; give one each",
            field="raw_input_contents",
        )
    found: dict[str, GivenTensor] = {}
    for i, given in enumerate(request.inputs):
        field = f"inputs[{i}]"
        name = given.name[:64]
        if given.name in found:
            raise InvalidInputError(f"input {name!r} was given twice; give it once", field=f"{field}.name")
        if "shared_memory_region" in given.parameters:
            raise InvalidInputError(
                f"input {name!r} is in shared memory, which this server does not read; send its values",
                field=f"{field}.parameters",
            )
        if given.datatype not in DATATYPES:
            raise InvalidInputError(
                f"input {name!r} is of datatype {given.datatype[:16]!r}; give one of {', '.join(DATATYPES)}",
                field=f"{field}.datatype",
            )
        shape = tuple(given.shape)
        if len(shape) > _MOST_DIMENSIONS or any(size < 0 for size in shape):
            raise InvalidInputError(
                f"input {name!r} has shape {list(shape)[:12]}; give at most {_MOST_DIMENSIONS} sizes, none negative",
                field=f"{field}.shape",
            )
        if raw:
            if given.HasField("contents"):
                raise InvalidInputError(
                    f"input {name!r} has contents beside raw_input_contents; give its values once",
                    field=f"{field}.contents",
                )
            values = _from_raw(raw[i], given.datatype, shape, name, f"raw_input_contents[{i}]")
        else:
            values = _from_typed(given, shape, field)
        found[given.name] = GivenTensor(given.datatype, values, field)
    return found


def parameters_from_proto(given: Mapping[str, pb.InferParameter]) -> dict[str, bool | int | float | str]:
    """The values beside the tensors; one that holds nothing is left out."""
    found = {}
    for name, parameter in given.items():
        kind = parameter.WhichOneof("parameter_choice")
        if kind is not None:
            found[name] = getattr(parameter, kind)
    return found


def outputs_to_proto(response: pb.ModelInferResponse, outputs: Iterable[tuple[str, Tensor]]) -> None:
    """Append tensors to an answer, their elements raw, as Triton's servers answer."""
    for name, values in outputs:
        datatype = next(d for d, (dtype, _) in DATATYPES.items() if dtype == values.dtype.newbyteorder("<"))
        response.outputs.add(name=name, datatype=datatype, shape=values.shape)
        response.raw_output_contents.append(
            _joined(values)
            if datatype == "BYTES"
            else np.ascontiguousarray(values, values.dtype.newbyteorder("<")).tobytes()
        )


def _from_raw(data: bytes, datatype: str, shape: tuple[int, ...], name: str, field: str) -> Tensor:
    count = math.prod(shape)
    if datatype == "BYTES":
        values = _split(data, name, field)
        if len(values) != count:
            raise _wrong_count(name, len(values), shape, field)
        return _objects(values, shape)
    dtype = DATATYPES[datatype][0]
    if len(data) != count * dtype.itemsize:
        raise InvalidInputError(
            f"input {name!r} has {len(data)} bytes; {datatype} of shape {list(shape)} needs {count * dtype.itemsize}",
            field=field,
        )
    return np.frombuffer(data, dtype).reshape(shape)


def _from_typed(given: pb.ModelInferRequest.InferInputTensor, shape: tuple[int, ...], field: str) -> Tensor:
    dtype, holder = DATATYPES[given.datatype]
    name = given.name[:64]
    filled = [d.name for d, _ in given.contents.ListFields()]
    if filled and filled != [holder]:
        raise InvalidInputError(
            f"input {name!r} is of datatype {given.datatype} and has {' and '.join(filled)}; give "
            + (holder or "raw_input_contents"),
            field=f"{field}.contents",
        )
    values = getattr(given.contents, holder) if holder else ()
    if len(values) != math.prod(shape):
        raise _wrong_count(name, len(values), shape, f"{field}.contents")
    if dtype == np.dtype("O"):
        return _objects(list(values), shape)
    wide = np.array(values)
    if dtype.kind in "iu" and len(wide):
        bounds = np.iinfo(dtype)
        if wide.min() < bounds.min or wide.max() > bounds.max:
            raise InvalidInputError(
                f"input {name!r} has values from {wide.min()} to {wide.max()}; {given.datatype} holds {bounds.min} to "
                f"{bounds.max}",
                field=f"{field}.contents",
            )
    return wide.astype(dtype).reshape(shape)


def _wrong_count(name: str, count: int, shape: tuple[int, ...], field: str) -> InvalidInputError:
    return InvalidInputError(
        f"input {name!r} has {count} elements; shape {list(shape)} needs {math.prod(shape)}", field=field
    )


def _objects(values: list[bytes], shape: tuple[int, ...]) -> Tensor:
    made = np.empty(len(values), object)
    made[:] = values
    return made.reshape(shape)


def _split(data: bytes, name: str, field: str) -> list[bytes]:
    """Elements, each behind its length in four bytes."""
    found: list[bytes] = []
    at = 0
    while at < len(data):
        begin = at + 4
        end = begin + int.from_bytes(data[at:begin], "little")
        if end > len(data) or begin > len(data):
            raise InvalidInputError(
                f"input {name!r} ends within element {len(found)}; put each element of BYTES behind its length in 4 "
                "bytes, little-endian",
                field=field,
            )
        found.append(data[begin:end])
        at = end
    return found


def _joined(values: Tensor) -> bytes:
    return b"".join(len(v).to_bytes(4, "little") + v for v in values.ravel().tolist())
