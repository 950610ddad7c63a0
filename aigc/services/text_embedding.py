"""Embeddings of texts by trained language models: the use case behind the call."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from aigc.errors import CancelledError, InvalidInputError
from aigc.services.generation_limits import GenerationLimits
from aigc.services.model_pool import LoadedModel, ModelPool
from aigc.services.turnstile import Turnstile

__all__ = ["TextEmbedding"]

_STRIDE = 32


class TextEmbedding:
    """Works in strides, so that a caller who left is noticed within one."""

    def __init__(self, pool: ModelPool, turnstile: Turnstile, limits: GenerationLimits) -> None:
        """Args: pool: the models; turnstile: shared by all heavy work; limits: of a call."""
        self._pool = pool
        self._turnstile = turnstile
        self._limits = limits

    def embed(
        self, reference: str, texts: Sequence[str], gone: Callable[[], bool], field: str = "texts"
    ) -> tuple[LoadedModel, NDArray[np.float32]]:
        """(len(texts), embedding_size) float32, rows of unit length.

        Raises:
            InvalidInputError: Names the wrong field, or the model embeds nothing.
            NotFoundError: No such model.
            CancelledError: ``gone`` said so.
            ResourceExhaustedError: Too many calls wait.
        """
        if not 1 <= len(texts) <= self._limits.images:
            raise InvalidInputError(f"{field} has {len(texts)} entries; give 1 to {self._limits.images}", field=field)
        for i, text in enumerate(texts):
            if len(text) > self._limits.prompt_characters:
                raise InvalidInputError(
                    f"{field}[{i}] has {len(text)} characters; at most {self._limits.prompt_characters} are allowed",
                    field=f"{field}[{i}]",
                )
        model = self._pool.get(reference)
        embed = getattr(model.generator, "embed", None)
        if embed is None:
            raise InvalidInputError(
                f"model {model.info.id} is a {model.info.kind}, which embeds no texts; list models with ListModels",
                field="model",
                reason="WRONG_MODEL_KIND",
            )
        parts = []
        for start in range(0, len(texts), _STRIDE):
            with self._turnstile.turn(gone):
                if gone():
                    raise CancelledError(f"the caller left, or the deadline passed, after {start} of {len(texts)}")
                parts.append(embed(texts[start : start + _STRIDE]))
        return model, np.concatenate(parts)
