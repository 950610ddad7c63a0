"""GPT: the next token from the ones before it; its text is sampled by :mod:`aigc.generate.decode`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from pathlib import Path

import torch
from torch import Tensor

from aigc.errors import CorruptDataError, InvalidInputError
from aigc.generate.compression import pruned_share
from aigc.generate.decode import EngineLimits, TextEngine
from aigc.generate.decoder import make_decoder
from aigc.generate.model_folder import fill_module, read_config, read_tensors, write_model
from aigc.generate.prune_transformer import pruned_transformer
from aigc.generate.tokenizer import TextTokenizer
from aigc.generate.transformer import Transformer, TransformerOptions

__all__ = ["GptGenerator", "load_options"]

_FORMAT = 1


class GptGenerator:
    """A language model with its tokenizer. See :class:`aigc.generate.base.Generator`.

    Attributes:
        network: Causal transformer.
        tokenizer: What its tokens mean.
        dialogue: Whether it was fine-tuned to answer, so that prompts are given to it as a user's turn.
        compression: See :class:`aigc.generate.compression.Compressible`.
    """

    kind = "gpt"

    def __init__(
        self, network: Transformer, tokenizer: TextTokenizer, *, dialogue: bool = False, compression: str = ""
    ) -> None:
        if network.options.vocabulary_size < len(tokenizer):
            raise InvalidInputError(
                f"the model has {network.options.vocabulary_size} tokens and its tokenizer {len(tokenizer)}; "
                "train them together",
                field="vocabulary_size",
            )
        self.network = network.eval()
        self.tokenizer = tokenizer
        self.dialogue = dialogue
        self.compression = compression

    @classmethod
    def fresh(cls, options: TransformerOptions, tokenizer: TextTokenizer, seed: int = 0) -> GptGenerator:
        """With weights drawn from ``seed``."""
        network = Transformer(options, causal=True)
        network.initialize(seed)
        return cls(network, tokenizer)

    @property
    def described(self) -> Mapping[str, object]:
        """Its shape, and what it was made for."""
        return {
            **asdict(self.network.options),
            "parameters": sum(p.numel() for p in self.network.parameters()),
            "dialogue": self.dialogue,
            "compression": self.compression,
        }

    def with_compression(self, method: str) -> GptGenerator:
        """See :class:`aigc.generate.compression.Compressible`; pruning alone.

        Texts are decoded by the kernel, which computes in float32 for the sake of exact rows: other number formats
        would make the file smaller and nothing faster.
        """
        if self.compression:
            raise InvalidInputError(f"the model is compressed already ({self.compression})", field="generator")
        share = pruned_share(method)
        network = pruned_transformer(self.network, share, causal=True)
        return GptGenerator(network, self.tokenizer, dialogue=self.dialogue, compression=method)

    @torch.no_grad()
    def log_likelihood(self, tokens: Sequence[int]) -> Tensor:
        """(len(tokens) - 1,) float32: the log-probability of each token after the first, in nats."""
        row = torch.tensor([list(tokens)])
        logits = self.network(row[:, :-1]).float()  # (1, T, V)
        chosen: Tensor = torch.log_softmax(logits, -1).gather(2, row[:, 1:, None])[0, :, 0]
        return chosen

    def engine(self, slots: int, limits: EngineLimits) -> TextEngine:
        """See :class:`aigc.generate.base.TextGenerator`."""
        return TextEngine(make_decoder(self.network, slots), self.tokenizer, limits, dialogue=self.dialogue)

    def save(self, folder: Path) -> None:
        """Write ``config.json``, ``model.safetensors`` and ``tokenizer.json``."""
        config = {
            "options": asdict(self.network.options),
            "dialogue": self.dialogue,
            "compression": self.compression,
        }
        write_model(
            folder, self.kind, _FORMAT, config, {f"network.{n}": t for n, t in self.network.state_dict().items()}
        )
        self.tokenizer.save(folder)

    @classmethod
    def load(cls, folder: Path) -> GptGenerator:
        """What :meth:`save` wrote.

        Raises:
            CorruptDataError: A file is missing, broken, of another kind or newer.
        """
        config = read_config(folder, cls.kind, _FORMAT)
        network = Transformer(load_options(config, folder), causal=True)
        fill_module(network, read_tensors(folder), "network", folder)
        return cls(
            network,
            TextTokenizer.load(folder),
            dialogue=bool(config.get("dialogue")),
            compression=str(config.get("compression", "")),
        )


def load_options(config: Mapping[str, object], folder: Path) -> TransformerOptions:
    """The shape that a saved ``config.json`` gives.

    Raises:
        CorruptDataError: It gives none, or one without a meaning.
    """
    given = config.get("options")
    known = {field.name for field in fields(TransformerOptions)}
    try:
        if not isinstance(given, dict) or not set(given) <= known:
            raise TypeError("options are not those of a transformer")
        return TransformerOptions(**given)
    except (TypeError, InvalidInputError) as error:
        raise CorruptDataError(f"{folder / 'config.json'} gives no model ({error}); train it again") from error
