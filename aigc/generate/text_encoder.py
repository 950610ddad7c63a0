"""Items → embeddings by a language model: a BERT trained here, or an encoder of Hugging Face's from a local folder."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol, cast

import numpy as np
from numpy.typing import NDArray

from aigc.entities import Item
from aigc.errors import CorruptDataError, InvalidInputError
from aigc.features.saved import read_json
from aigc.features.text import item_words
from aigc.generate.loading import load_generator

__all__ = ["ModelTextEncoder", "TextEmbedder"]

_MAX_CHARACTERS = 20_000


class TextEmbedder(Protocol):
    """A generator that embeds texts too."""

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """(len(texts), embedding_size) float32, rows of unit length; zeros for a text without content."""
        ...

    def save(self, folder: Path) -> None:
        """See :class:`aigc.generate.base.Generator`."""
        ...


class ModelTextEncoder:
    """See :class:`aigc.features.base.Encoder`. The model is saved with it, and torch is needed to open it."""

    name = "text-model"

    def __init__(self, model: TextEmbedder, version: str = "") -> None:
        """Args: version: of a saved one, which need not be computed again."""
        self._model = model
        self._probe = model.embed(["一", "one"])
        # Embeddings of a fixed text tell two models apart as surely as their weights, and much sooner.
        self.version = version or hashlib.sha256(self._probe.tobytes()).hexdigest()[:12]

    @property
    def embedding_size(self) -> int:
        """Length of each embedding."""
        return int(self._probe.shape[1])

    @classmethod
    def of(cls, folder: Path) -> ModelTextEncoder:
        """From a model's folder.

        Raises:
            CorruptDataError: It is broken; names the file.
            InvalidInputError: The model embeds no texts.
        """
        model = load_generator(folder)
        if not hasattr(model, "embed"):
            raise InvalidInputError(
                f"the {model.kind} in {folder} embeds no texts; name a bert, or a Hugging Face encoder", field="model"
            )
        return cls(cast(TextEmbedder, model))

    def encode(self, items: Sequence[Item]) -> NDArray[np.float32]:
        """See :class:`aigc.features.base.Encoder`."""
        return self.encode_text([item_words(item) for item in items])

    def encode_text(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """See :class:`aigc.features.base.Encoder`."""
        return self._model.embed([text[:_MAX_CHARACTERS] for text in texts])

    def save(self, folder: Path) -> None:
        """``encoder.json`` and the model's own folder."""
        (folder / "model").mkdir()
        self._model.save(folder / "model")
        settings = {"encoder": self.name, "version": self.version}
        (folder / "encoder.json").write_text(json.dumps(settings), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> ModelTextEncoder:
        """What :meth:`save` wrote.

        Raises:
            CorruptDataError: A file is missing or broken, or the model is another than was saved.
        """
        made = cls.of(folder / "model")
        saved = read_json(folder).get("version")
        if not isinstance(saved, str) or not saved:
            raise CorruptDataError(f"{folder / 'encoder.json'} names no version; build a new snapshot")
        made.version = saved
        return made
