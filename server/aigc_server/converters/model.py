"""Models → wire."""

from __future__ import annotations

import json

from aigc.generate.repository import ModelInfo
from aigc.v1 import model_pb2
from aigc_server.converters.times import from_ms

__all__ = ["model_to_proto"]


def model_to_proto(info: ModelInfo, loaded: bool) -> model_pb2.Model:
    """A version of a model, with whether it is in memory."""
    return model_pb2.Model(
        name=info.name,
        version=info.version,
        kind=info.kind,
        create_time=from_ms(info.created_ms),
        aliases=info.aliases,
        size_bytes=info.bytes,
        measures=info.measures,
        details={key: json.dumps(value, ensure_ascii=False) for key, value in info.details.items()},
        loaded=loaded,
    )
