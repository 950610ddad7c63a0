"""An encoder of texts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from aigc.errors import InvalidInputError
from aigc.generate.base import TextData
from aigc.generate.text_training_options import TextTrainingOptions
from aigc.generate.transformer_options import Activation, TransformerOptions
from aigc.training.data import TrainingData
from aigc.training.data_options import TextDataOptions
from aigc.training.options import TrainerOptions
from aigc.training.recipe import RunOptions

if TYPE_CHECKING:
    from torch import nn

    from aigc.generate.base import Generator
    from aigc.generate.task import Task

__all__ = ["BertOptions", "BertRecipe"]


@dataclass(frozen=True, slots=True)
class BertOptions:
    """Vocabulary and shape.

    Attributes:
        vocabulary_size: Tokens at most.
        context: Most tokens of a text that are read.
        layers: Number of blocks.
        heads: Heads of each attention.
        width: Length of the residual stream, and of an embedding.
        hidden: Width of the feed-forward part; 0 for about as many weights as four times the width would give.
        activation: swiglu or relu2.
        dropout: In training; in [0, 1).
    """

    vocabulary_size: int = 6144
    context: int = 128
    layers: int = 6
    heads: int = 4
    width: int = 256
    hidden: int = 0
    activation: Activation = "swiglu"
    dropout: float = 0.0

    def __post_init__(self) -> None:
        """Refuse values without a meaning."""
        self.shape(self.vocabulary_size)

    def shape(self, vocabulary_size: int) -> TransformerOptions:
        """The model's shape with that many tokens."""
        return TransformerOptions(
            vocabulary_size,
            context=self.context,
            layers=self.layers,
            heads=self.heads,
            width=self.width,
            hidden=self.hidden,
            activation=self.activation,
            dropout=self.dropout,
        )


class BertRecipe:
    """See :class:`aigc.training.recipe.Recipe`."""

    kind = "bert"
    description = (
        "Embeddings of texts, by the blocks of the gpt looking both ways, taught to fill in masked tokens. It makes no "
        "texts: items and profiles are compared by it."
    )
    data = "texts"
    captions = False
    goes_on = False
    presets: Mapping[str, Mapping[str, Any]] = {}

    @property
    def groups(self) -> Mapping[str, Any]:
        """See :class:`aigc.training.recipe.Recipe`."""
        return {
            "bert": BertOptions(),
            "text": TextTrainingOptions(),
            "data": TextDataOptions(form="texts"),
            "trainer": TrainerOptions(
                steps=2000,
                schedule="linear",
                warmup_steps=20,
                average_decay=0.98,
                log_every=20,
                validate_every=500,
                checkpoint_every=250,
            ),
        }

    def base(self, options: RunOptions) -> str:
        """None."""
        del options
        return ""

    def task(self, data: TrainingData, options: RunOptions, base: Generator | None) -> Task:
        """See :class:`aigc.training.recipe.Recipe`.

        Raises:
            InvalidInputError: The data are dialogues.
        """
        from aigc.generate.bert import BertGenerator
        from aigc.generate.bert_task import BertTask
        from aigc.generate.tokenizer import TextTokenizer

        del base
        assert isinstance(data.train, TextData)
        if data.train.pairs:
            raise InvalidInputError(
                "a bert learns from texts, not from dialogues; give data.form=texts", field="options[data.form]"
            )
        chosen: BertOptions = options.groups["bert"]
        tokenizer = TextTokenizer.train(data.train.documents, chosen.vocabulary_size)
        fresh = BertGenerator.fresh(chosen.shape(len(tokenizer)), tokenizer, options.trainer.seed)
        return BertTask(fresh, data.train, options.groups["text"])

    def generator(self, task: Task, modules: Mapping[str, nn.Module]) -> Generator:
        """See :class:`aigc.training.recipe.Recipe`."""
        from aigc.generate.bert_task import BertTask

        assert isinstance(task, BertTask)
        return task.generator(modules)
