"""BERT: the GPT's blocks looking both ways, taught to fill in masked tokens; its pooled states are text embeddings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from aigc.errors import InvalidInputError
from aigc.generate.gpt import load_options
from aigc.generate.model_folder import fill_module, read_config, read_tensors, write_model
from aigc.generate.tokenizer import TextTokenizer
from aigc.generate.transformer import Transformer, TransformerOptions

__all__ = ["BertGenerator"]

_FORMAT = 1
# Rows of one pass: texts of like length, so that little is padding.
_ROWS = 32


class BertGenerator:
    """An encoder with its tokenizer. See :class:`aigc.generate.base.Generator`.

    Attributes:
        network: A transformer that looks both ways (Devlin et al. 2019, with the GPT's blocks).
        tokenizer: What its tokens mean.
        centre: (width,) float32, taken from every embedding: the states of such models share a large common part, which
            hides what differs (Mu and Viswanath 2018).
    """

    kind = "bert"

    def __init__(self, network: Transformer, tokenizer: TextTokenizer, centre: Tensor | None = None) -> None:
        self.network = network.eval()
        self.tokenizer = tokenizer
        self.centre = torch.zeros(network.options.width) if centre is None else centre

    @classmethod
    def fresh(cls, options: TransformerOptions, tokenizer: TextTokenizer, seed: int = 0) -> BertGenerator:
        """With weights drawn from ``seed``."""
        network = Transformer(options, causal=False)
        network.initialize(seed)
        return cls(network, tokenizer)

    @property
    def described(self) -> Mapping[str, object]:
        """Its shape."""
        return {
            **asdict(self.network.options),
            "parameters": sum(p.numel() for p in self.network.parameters()),
            "embedding_size": self.network.options.width,
        }

    def fit_centre(self, texts: Sequence[str]) -> None:
        """Learn what all embeddings share, from some texts."""
        if not texts:
            raise InvalidInputError("there are no texts to find the centre of; give some", field="texts")
        self.centre = torch.zeros(self.network.options.width)
        self.centre = torch.from_numpy(self._states(texts)).mean(0)

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """(len(texts), width) float32, rows of unit length: means of the states of a text's tokens, less the centre.

        A text longer than the context is read as far as that goes; an empty one gives zeros. A text's embedding is its
        own, whatever else is asked for: each length is computed by itself, in batches of a fixed number of rows.
        """
        rows = self._states(texts) - self.centre.numpy()
        empty = np.array([not text.strip() for text in texts], bool)
        rows[empty] = 0
        norms = np.linalg.norm(rows.astype(np.float64), axis=1, keepdims=True)
        return np.where(norms > 1e-9, rows / np.maximum(norms, 1e-9), 0).astype(np.float32)

    @torch.inference_mode()
    def fill(self, text: str) -> str:
        """The text with its likeliest tokens in the place of each ``<|mask|>``."""
        parts = self.tokenizer.encode_many(text.split("<|mask|>"))
        tokens = [t for i, part in enumerate(parts) for t in ([self.tokenizer.mask] if i else []) + part]
        logits = self.network(torch.tensor([tokens or [self.tokenizer.end]]))[0]
        logits[:, list(self.tokenizer.special)] = float("-inf")
        best = logits.argmax(-1).tolist()
        return self.tokenizer.decode([b if t == self.tokenizer.mask else t for t, b in zip(tokens, best, strict=False)])

    def save(self, folder: Path) -> None:
        """Write ``config.json``, ``model.safetensors`` and ``tokenizer.json``."""
        tensors = {f"network.{name}": tensor for name, tensor in self.network.state_dict().items()}
        config = {"options": asdict(self.network.options)}
        write_model(folder, self.kind, _FORMAT, config, tensors | {"centre": self.centre})
        self.tokenizer.save(folder)

    @classmethod
    def load(cls, folder: Path) -> BertGenerator:
        """What :meth:`save` wrote.

        Raises:
            CorruptDataError: A file is missing, broken, of another kind or newer.
        """
        config = read_config(folder, cls.kind, _FORMAT)
        network = Transformer(load_options(config, folder), causal=False)
        tensors = read_tensors(folder)
        fill_module(network, tensors, "network", folder)
        return cls(network, TextTokenizer.load(folder), tensors.get("centre"))

    @torch.inference_mode()
    def _states(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """(len(texts), width) float32 mean states."""
        context = self.network.options.context
        tokens = [part[:context] or [self.tokenizer.end] for part in self.tokenizer.encode_many(texts)]
        found = np.zeros((len(texts), self.network.options.width), np.float32)
        device = self.network.embedding.weight.device
        for rows in _batches([len(part) for part in tokens]):
            batch = torch.tensor([tokens[i] for i in rows], device=device)
            # A matrix library gives a row other last bits in a batch of another size: always the same size.
            batch = torch.cat([batch, batch[-1:].expand(_ROWS - len(rows), -1)])
            found[rows] = self.network.hidden(batch).mean(1)[: len(rows)].float().cpu().numpy()
        return found


def _batches(lengths: Sequence[int]) -> Iterator[list[int]]:
    """Rows of one length, _ROWS at most."""
    order = sorted(range(len(lengths)), key=lambda i: lengths[i])
    batch: list[int] = []
    for i in order:
        if batch and (len(batch) == _ROWS or lengths[i] != lengths[batch[0]]):
            yield batch
            batch = []
        batch.append(i)
    if batch:
        yield batch
