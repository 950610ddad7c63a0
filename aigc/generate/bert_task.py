"""A BERT in training: some tokens are masked, and the model says what they were."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.optim import Optimizer

from aigc.errors import InvalidInputError
from aigc.generate.base import TextData
from aigc.generate.bert import BertGenerator
from aigc.generate.task import Phase, StepContext
from aigc.generate.text_batches import IGNORED
from aigc.generate.text_training import TextTrainingOptions, compile_blocks, text_optimizer
from aigc.generate.transformer import Transformer

__all__ = ["BertTask"]

# Share of tokens to tell; more than the original's 0.15 teaches faster (Wettig et al. 2023).
_MASKED = 0.3


class BertTask:
    """See :class:`aigc.generate.task.Task`. Rows are whole texts, cut or padded to the context."""

    averaged = ("network",)

    def __init__(self, generator: BertGenerator, data: TextData, options: TextTrainingOptions | None = None) -> None:
        """Args: generator: to begin from; data: its documents are learnt from; options: how.

        Raises:
            InvalidInputError: There is nothing to learn from.
        """
        self.options = options or TextTrainingOptions()
        self.tokenizer = generator.tokenizer
        self.network = generator.network.requires_grad_(True)
        self._texts = list(data.documents[:2000])
        self._rows = self._table(data.documents)
        self._held_out = self._table(data.held_out)
        if not len(self._rows):
            raise InvalidInputError("there is no text to learn from; give documents", field="documents")
        if self.options.compile_blocks:
            compile_blocks(self.network)

    name = "bert"

    @property
    def modules(self) -> Mapping[str, nn.Module]:
        """The network alone."""
        return {"network": self.network}

    def optimizers(self) -> Mapping[str, Optimizer]:
        """One, of two kinds."""
        return {"text": text_optimizer(self.network, self.options)}

    def phases(self, context: StepContext) -> Iterator[Phase]:
        """Cross-entropy of the masked tokens."""
        rows = context.rows(len(self._rows), self.options.batch_size)
        tokens = self._rows[rows]
        chance = context.uniform(self.options.batch_size, tokens.shape[1]).cpu()
        masked, targets = self._mask(tokens, chance)
        loss, _ = self._loss(self.network, masked.to(context.device), targets.to(context.device))
        yield Phase("text", loss)

    @torch.no_grad()
    def validate(self, modules: Mapping[str, nn.Module]) -> Mapping[str, float]:
        """``loss`` in nats and ``accuracy`` of held-out masked tokens, always the same ones."""
        network = modules["network"]
        assert isinstance(network, Transformer)
        if not len(self._held_out):
            return {}
        source = torch.Generator().manual_seed(0)
        device = network.embedding.weight.device
        losses: list[float] = []
        right: list[float] = []
        for tokens in torch.split(self._held_out, self.options.validation_rows):
            masked, targets = self._mask(tokens, torch.rand(tokens.shape, generator=source))
            loss, hits = self._loss(network, masked.to(device), targets.to(device))
            losses.append(loss.item())
            right.append(hits.item())
        return {"loss": sum(losses) / len(losses), "accuracy": sum(right) / len(right)}

    def draw_samples(self, modules: Mapping[str, nn.Module], path: Path) -> Path | None:
        """``path.txt``: the prompts of the options with their masks filled in."""
        made = self._as_generator(modules)
        target = path.with_name(path.name + ".txt")
        filled = [f"{prompt} → {made.fill(prompt)}" for prompt in self.options.sample_prompts]
        target.write_text("\n".join(filled) + "\n", encoding="utf-8")
        return target

    def generator(self, modules: Mapping[str, nn.Module]) -> BertGenerator:
        """What is kept of these modules, with the centre of what it learnt from."""
        made = self._as_generator(modules)
        made.fit_centre(self._texts)
        return made

    def _as_generator(self, modules: Mapping[str, nn.Module]) -> BertGenerator:
        network = modules["network"]
        assert isinstance(network, Transformer)
        return BertGenerator(network, self.tokenizer)

    def _table(self, documents: Sequence[str]) -> Tensor:
        """(n, context) int64, padded."""
        context = self.network.options.context
        rows = [tokens[:context] for tokens in self.tokenizer.encode_many(documents) if tokens]
        table = torch.full((len(rows), max(map(len, rows), default=0)), self.tokenizer.pad, dtype=torch.int64)
        for i, row in enumerate(rows):
            table[i, : len(row)] = torch.tensor(row)
        return table

    def _mask(self, tokens: Tensor, chance: Tensor) -> tuple[Tensor, Tensor]:
        """Tokens with some masked, and targets at those places only; each (B, T).

        Of the chosen, eight in ten become the mask, one another token and one stays (Devlin et al. 2019): the model
        must not trust what it sees.
        """
        chosen = (chance < _MASKED) & (tokens != self.tokenizer.pad)
        targets = torch.where(chosen, tokens, IGNORED)
        share = chance / _MASKED
        masked = torch.where(chosen & (share < 0.8), self.tokenizer.mask, tokens)
        # Another token: one from the row before, so that frequent ones are frequent.
        return torch.where(chosen & (share >= 0.9), tokens.roll(1, 0), masked), targets

    def _loss(self, network: nn.Module, tokens: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Mean loss of the masked tokens, and the share of them that the likeliest token names."""
        assert isinstance(network, Transformer)
        hidden = network.hidden(tokens, tokens != self.tokenizer.pad)  # (B, T, C)
        told = targets != IGNORED
        # Logits of the masked places only: the vocabulary is the widest part.
        logits = network.logits(hidden[told]).float()  # (n, V)
        wanted = targets[told]
        if not len(wanted):
            return hidden.sum() * 0.0, hidden.new_zeros(())
        return functional.cross_entropy(logits, wanted), (logits.argmax(-1) == wanted).float().mean()
