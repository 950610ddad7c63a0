"""What this server says of itself in the Open Inference Protocol."""

from __future__ import annotations

from importlib.metadata import version

from aigc.oip import inference_pb2 as pb

__all__ = ["server_metadata"]


def server_metadata() -> pb.ServerMetadataResponse:
    """Name, version and extensions; the same from both processes."""
    return pb.ServerMetadataResponse(
        name="aigc", version=version("aigc"), extensions=["model_repository", "parameters"]
    )
