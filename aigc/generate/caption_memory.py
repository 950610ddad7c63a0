"""Captions of training and their vectors, for new wordings of what they say."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from aigc.errors import CorruptDataError

__all__ = ["CaptionMemory"]

_SHARPNESS = 40.0


class CaptionMemory:
    """Looks up the captions of training that are nearest in meaning."""

    def __init__(self, features: Tensor, vectors: Tensor) -> None:
        """Args: features: (m, feature_size) float16, of length 1 at most; vectors: (m, size) float16, the encoder's."""
        self.features, self.vectors = features, vectors

    def recall(self, features: Tensor, neighbours: int) -> Tensor:
        """(B, size) float32 of length 1: the mean of the nearest captions' vectors, e^40cos their weights.

        Args:
            features: (B, feature_size) float32 of new captions; where they are zero, so is what is recalled.
            neighbours: How many captions of training are looked at.
        """
        likeness = features @ self.features.to(features).T  # (B, m)
        near, rows = likeness.topk(min(neighbours, len(self.features)), dim=1)
        weights = (_SHARPNESS * near).softmax(dim=1)  # (B, k)
        mean = (self.vectors.to(features)[rows] * weights[..., None]).sum(dim=1)
        return F.normalize(mean, dim=1) * (features != 0).any(dim=1, keepdim=True)

    def tensors(self) -> dict[str, Tensor]:
        """As they are kept with a model."""
        return {"memory.features": self.features, "memory.vectors": self.vectors}

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, Tensor], sizes: tuple[int, int], path: Path) -> CaptionMemory:
        """What :meth:`tensors` gave.

        Args:
            tensors: By name; others among them do not count.
            sizes: Of a feature and of a vector.
            path: Of the file, for errors.

        Raises:
            CorruptDataError: One is missing, has another size, or is not finite.
        """
        features, vectors = tensors.get("memory.features"), tensors.get("memory.vectors")
        if features is not None and vectors is not None and features.ndim == 2 and len(features) > 0:
            fits = features.shape[1] == sizes[0] and vectors.shape == (len(features), sizes[1])
            if fits and torch.isfinite(features).all() and torch.isfinite(vectors).all():
                return cls(features, vectors)
        raise CorruptDataError(f"{path} lacks the captions of training; train it again", reason="MODEL_CORRUPT")
