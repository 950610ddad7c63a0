"""Answers of the Open Inference Protocol."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from aigc.errors import InvalidInputError
from aigc.oip import inference_pb2 as pb
from aigc_server.converters.tensor import Tensor, outputs_to_proto
from aigc_server.inference.signature import Signature

__all__ = ["answer", "metadata_to_proto", "refuse_parameters"]


def metadata_to_proto(
    name: str, versions: Sequence[int], platform: str, signature: Signature
) -> pb.ModelMetadataResponse:
    """What a model takes and gives."""
    response = pb.ModelMetadataResponse(name=name, versions=map(str, versions), platform=platform)
    for specs, told in ((signature.inputs, response.inputs), (signature.outputs, response.outputs)):
        for spec in specs:
            told.add(name=spec.name, datatype=spec.datatypes[0], shape=spec.shape)
    return response


def answer(
    request: pb.ModelInferRequest, version: str, outputs: Mapping[str, Tensor], wanted: Sequence[str]
) -> pb.ModelInferResponse:
    """The outputs that a call gets.

    Raises:
        InvalidInputError: It names an output that its inputs do not lead to, or wants one in shared memory.
    """
    response = pb.ModelInferResponse(model_name=request.model_name, model_version=version, id=request.id)
    for i, output in enumerate(request.outputs):
        for name in ("shared_memory_region", "classification"):
            if name in output.parameters:
                raise InvalidInputError(
                    f"output {output.name[:64]!r} asks for {name}, which this server does not do; leave it out",
                    field=f"outputs[{i}].parameters",
                )
        if output.name not in outputs:
            raise InvalidInputError(
                f"output {output.name[:64]!r} does not follow from these inputs; they give {', '.join(outputs)}",
                field=f"outputs[{i}].name",
            )
    outputs_to_proto(response, ((name, outputs[name]) for name in wanted if name in outputs))
    return response


def refuse_parameters(parameters: Mapping[str, pb.ModelRepositoryParameter]) -> None:
    """Raise InvalidInputError: a model is loaded as it was trained, never with files of a caller's."""
    for name in parameters:
        raise InvalidInputError(
            f"parameter {name[:64]!r} is unknown; a model is loaded as it stands in the repository",
            field=f"parameters[{name[:64]}]",
        )
