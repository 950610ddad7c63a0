"""A local Hugging Face directory as text generator and text encoder: safetensors only, no code of its own, no network.

A Qwen3 of any size runs in this product's own decoder; any other causal model, and every encoder, in ``transformers``
(the extra ``huggingface``). What is refused is refused by looking at the files, before anything is loaded: weights in
pickles, and configurations that bring their own Python.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from aigc.errors import CorruptDataError, InvalidInputError, UnavailableError
from aigc.generate.decode import EngineLimits, TextEngine
from aigc.generate.decoder import Decoder, make_decoder
from aigc.generate.huggingface_decoder import HuggingFaceDecoder
from aigc.generate.huggingface_export import qwen3_network
from aigc.generate.huggingface_tokenizer import HuggingFaceTokenizer
from aigc.generate.model_folder import read_config

__all__ = ["HuggingFaceGenerator"]

_FORMAT = 1
_MODEL = "model"
# What a model directory may bring; everything else stays behind.
_KEPT = (".safetensors", ".json", ".txt", ".model", ".jinja")
_CONTEXT = 2048
_ROWS = 16


class HuggingFaceGenerator:
    """See :class:`aigc.generate.base.Generator`. Made by :meth:`adopt`; opened from its saved copy like any other.

    Attributes:
        folder: The Hugging Face directory.
        config: Its ``config.json``.
        context: Most tokens of a text.
    """

    kind = "huggingface"

    def __init__(self, folder: Path, context: int = _CONTEXT) -> None:
        """Look at the directory; weights are loaded when first needed.

        Raises:
            CorruptDataError: It has no configuration or no safetensors.
            InvalidInputError: It would run code of its own.
        """
        self.folder = folder
        self.config = _checked(folder)
        known = self.config.get("max_position_embeddings") or context
        self.context = min(context, int(known))
        self._tokenizer: HuggingFaceTokenizer | None = None
        self._network: Any = None
        self._encoder: Any = None

    @classmethod
    def adopt(cls, folder: Path, context: int = _CONTEXT) -> HuggingFaceGenerator:
        """A directory as someone fetched it. Errors as in the constructor."""
        return cls(folder, context)

    @property
    def described(self) -> Mapping[str, object]:
        """What its configuration says."""
        names = ("model_type", "vocab_size", "hidden_size", "num_hidden_layers")
        return {name: self.config[name] for name in names if name in self.config} | {"context": self.context}

    @property
    def causal(self) -> bool:
        """Whether it continues texts."""
        return any(
            str(name).endswith(("ForCausalLM", "LMHeadModel")) for name in self.config.get("architectures") or ()
        )

    @property
    def tokenizer(self) -> HuggingFaceTokenizer:
        """Its own tokenizer."""
        if self._tokenizer is None:
            self._tokenizer = HuggingFaceTokenizer(self._open("AutoTokenizer"), self.folder)
        return self._tokenizer

    def engine(self, slots: int, limits: EngineLimits) -> TextEngine:
        """See :class:`aigc.generate.base.TextGenerator`.

        Raises:
            InvalidInputError: The model is an encoder.
        """
        if not self.causal:
            raise InvalidInputError(
                f"{self.folder} holds {self.config.get('architectures')}, which continues no texts; use it to embed",
                field="model",
                reason="WRONG_MODEL_KIND",
            )
        return TextEngine(self._decoder(slots), self.tokenizer, limits, dialogue=self.tokenizer.has_dialogue)

    @torch.inference_mode()
    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """(len(texts), hidden_size) float32, rows of unit length: means of the last states of a text's tokens."""
        if self._encoder is None:
            self._encoder = self._open("AutoModel", dtype=torch.float32, use_safetensors=True).eval()
        size = int(self.config["hidden_size"])
        found = np.zeros((len(texts), size), np.float32)
        for i, text in enumerate(texts):
            tokens = self.tokenizer.encode_whole(text)[: self.context]
            if not text.strip() or not tokens:
                continue
            state = self._encoder(input_ids=torch.tensor([tokens])).last_hidden_state[0].float().mean(0).numpy()
            found[i] = state / max(float(np.linalg.norm(state)), 1e-9)
        return found

    def save(self, folder: Path) -> None:
        """Copy the model's files, the executable ones left out, below a ``config.json`` of ours."""
        (folder / _MODEL).mkdir()
        for path in sorted(self.folder.iterdir()):
            if path.is_file() and path.suffix in _KEPT:
                shutil.copyfile(path, folder / _MODEL / path.name)
        config = {"kind": self.kind, "format": _FORMAT, "context": self.context}
        (folder / "config.json").write_text(json.dumps(config, indent=1) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> HuggingFaceGenerator:
        """What :meth:`save` wrote. Errors as in the constructor."""
        config = read_config(folder, cls.kind, _FORMAT)
        return cls(folder / _MODEL, int(config.get("context") or _CONTEXT))

    def _decoder(self, slots: int) -> Decoder:
        if self.config.get("model_type") == "qwen3" and not self.config.get("quantization_config"):
            if self._network is None:
                self._network = qwen3_network(self.config, _tensors(self.folder), self.folder, self.context)
            return make_decoder(self._network, slots)
        if self._network is None:
            self._network = self._open("AutoModelForCausalLM", dtype=torch.float32, use_safetensors=True).eval()
        return HuggingFaceDecoder(self._network, slots, self.context)

    def _open(self, what: str, **options: object) -> Any:
        """One of transformers' ``Auto`` classes on the directory, without network and without its code."""
        try:
            import transformers
        except ImportError as error:
            raise UnavailableError(
                f"{self.folder} needs the package transformers; install aigc[huggingface]", reason="EXTRA_MISSING"
            ) from error
        loader = getattr(transformers, what)
        try:
            return loader.from_pretrained(str(self.folder), local_files_only=True, trust_remote_code=False, **options)
        except Exception as error:
            raise CorruptDataError(
                f"{self.folder} cannot be opened as a Hugging Face model ({error}); fetch it again, complete",
                reason="MODEL_CORRUPT",
            ) from error


def _checked(folder: Path) -> dict[str, Any]:
    path = folder / "config.json"
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise CorruptDataError(
            f"{path} cannot be read ({error}); name a Hugging Face model's folder", reason="MODEL_CORRUPT"
        ) from error
    if not isinstance(config, dict) or "model_type" not in config:
        raise CorruptDataError(
            f"{path} names no model_type; name a Hugging Face model's folder", reason="MODEL_CORRUPT"
        )
    described = folder / "tokenizer_config.json"
    texts = [path.read_text(encoding="utf-8"), described.read_text(encoding="utf-8") if described.exists() else ""]
    if any('"auto_map"' in text for text in texts):
        raise InvalidInputError(
            f"{folder} brings Python code of its own (auto_map), and none is run here; use a model without",
            field="folder",
            reason="CODE_IN_MODEL",
        )
    if not any(folder.glob("*.safetensors")):
        raise CorruptDataError(
            f"{folder} has no .safetensors; pickled weights are not opened, convert them first", reason="MODEL_CORRUPT"
        )
    return config


def _tensors(folder: Path) -> dict[str, torch.Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    found: dict[str, torch.Tensor] = {}
    for path in sorted(folder.glob("*.safetensors")):
        try:
            found |= load_file(str(path))
        except (OSError, SafetensorError, ValueError) as error:
            raise CorruptDataError(
                f"{path} cannot be read ({error}); fetch it again", reason="MODEL_CORRUPT"
            ) from error
    return found
