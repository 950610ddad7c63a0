"""The generator process behind the face that the loop knows."""

from __future__ import annotations

import io
import math
import threading
from collections.abc import Callable, Sequence
from typing import Any

import grpc
import numpy as np
from grpc_status import rpc_status
from numpy.typing import NDArray
from PIL import Image

from aigc.creation.studio import Made, PictureOrder, TextOrder
from aigc.errors import AigcError, InvalidInputError, NotFoundError, UnavailableError
from aigc.generate.repository import ModelInfo, ModelRepository
from aigc.v1 import generation_pb2, generation_service_pb2, generation_service_pb2_grpc

__all__ = ["RemoteStudio"]

_PATIENCE_S = 120.0
_KINDS: dict[grpc.StatusCode, type[AigcError]] = {
    grpc.StatusCode.INVALID_ARGUMENT: InvalidInputError,
    grpc.StatusCode.NOT_FOUND: NotFoundError,
}


class RemoteStudio:
    """See :class:`aigc.creation.studio.Studio`; thread-safe."""

    def __init__(self, repository: ModelRepository, address: Callable[[], str], message_bytes: int) -> None:
        """Args: repository: on disk; address: of the generator now, starting it where needed; may raise."""
        self._repository = repository
        self._address = address
        self._options = [
            ("grpc.max_receive_message_length", message_bytes),
            ("grpc.max_send_message_length", message_bytes),
        ]
        self._lock = threading.Lock()
        self._channel: tuple[str, grpc.Channel] | None = None

    def models(self) -> Sequence[ModelInfo]:
        """See :class:`Studio`."""
        return self._repository.models()

    def pictures(self, order: PictureOrder) -> Sequence[Made]:
        """See :class:`Studio`."""
        latents = [] if order.latents is None else [generation_pb2.Latent(values=row) for row in order.latents]
        request = generation_service_pb2.GenerateImagesRequest(
            model=order.model,
            seeds=order.seeds,
            classes=order.classes,
            captions=order.captions,
            latents=latents,
            truncation=order.truncation,
        )
        response = self._call(lambda stub: stub.GenerateImages(request, timeout=_PATIENCE_S))
        return [
            Made(i.seed, i.png, i.label, tuple(i.latent.values), i.quality if i.HasField("quality") else math.nan)
            for i in response.images
        ]

    def texts(self, order: TextOrder) -> Sequence[Made]:
        """See :class:`Studio`."""

        def read(stub: Any) -> list[Made]:
            return [_read(stub, order, seed) for seed in order.seeds]

        made: list[Made] = self._call(read)
        return made

    def encode(self, model: str, pictures: Sequence[bytes]) -> NDArray[np.float32]:
        """See :class:`Studio`."""
        request = generation_service_pb2.EncodeRequest(model=model, images=[_png(p) for p in pictures])
        response = self._call(lambda stub: stub.Encode(request, timeout=_PATIENCE_S))
        return np.array([latent.values for latent in response.latents], np.float32)

    def close(self) -> None:
        """Close the channel."""
        with self._lock:
            if self._channel is not None:
                self._channel[1].close()
                self._channel = None

    def _call(self, work: Callable[[Any], Any]) -> Any:
        try:
            return work(self._stub())
        except grpc.RpcError as error:
            raise _translated(error) from error

    def _stub(self) -> Any:
        address = self._address()
        with self._lock:
            if self._channel is None or self._channel[0] != address:
                if self._channel is not None:
                    self._channel[1].close()
                self._channel = (address, grpc.insecure_channel(address, self._options))
            return generation_service_pb2_grpc.GenerationServiceStub(self._channel[1])


def _read(stub: Any, order: TextOrder, seed: int) -> Made:
    request = generation_service_pb2.GenerateTextRequest(
        model=order.model,
        prompt=order.prompt,
        max_tokens=order.max_tokens,
        temperature=order.temperature,
        top_p=order.top_p,
        repetition_penalty=order.repetition_penalty,
        seed=seed,
        logprobs=True,
    )
    text, logprobs = "", list[float]()
    for piece in stub.GenerateText(request, timeout=_PATIENCE_S):
        text += piece.text
        logprobs += [token.logprob for token in piece.tokens]
    return Made(seed, text.encode(), fluency=float(np.mean(logprobs)) if logprobs else math.nan)


def _png(picture: bytes) -> bytes:
    """Any picture as the generator reads it."""
    if picture[:8] == b"\x89PNG\r\n\x1a\n":
        return picture
    target = io.BytesIO()
    with Image.open(io.BytesIO(picture)) as opened:
        opened.convert("RGBA").save(target, "PNG")
    return target.getvalue()


def _translated(error: Any) -> AigcError:
    status = rpc_status.from_call(error)
    message = status.message if status else str(error.details())
    if error.code() in _KINDS:
        return _KINDS[error.code()](message)
    return UnavailableError(f"the generator answered {error.code().name}: {message}", reason="GENERATOR_DOWN")
