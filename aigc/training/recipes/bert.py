"""A text encoder: a transformer that looks both ways and fills in masked tokens."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

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
        vocabulary_size: Tokens at most: pairs of bytes, for any language.
        context: Most tokens that the model looks at; longer texts are read as far as that goes.
        layers: Number of blocks.
        heads: Heads of each attention.
        width: Length of the residual stream, and of an embedding.
        activation: swiglu or relu2.
        dropout: In training; in [0, 1).
    """

    vocabulary_size: int = 6144
    context: int = 64
    layers: int = 4
    heads: int = 3
    width: int = 192
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
            activation=self.activation,
            dropout=self.dropout,
        )


class BertRecipe:
    """See :class:`aigc.training.recipe.Recipe`."""

    kind = "bert"
    description = (
        "Embeddings of texts by a transformer that fills in masked tokens. A snapshot uses it in place of the words' "
        "own embeddings where train.text_encoder names it."
    )
    data = "texts"
    captions = False
    presets: Mapping[str, Mapping[str, Any]] = {}

    @property
    def groups(self) -> Mapping[str, Any]:
        """See :class:`aigc.training.recipe.Recipe`."""
        return {
            "bert": BertOptions(),
            "text": TextTrainingOptions(),
            "data": TextDataOptions(),
            "trainer": TrainerOptions(
                steps=600,
                schedule="linear",
                warmup_steps=20,
                average_decay=0.98,
                log_every=20,
                validate_every=300,
                checkpoint_every=200,
            ),
        }

    def base(self, options: RunOptions) -> str:  # noqa: ARG002 - always from the beginning
        """See :class:`aigc.training.recipe.Recipe`."""
        return ""

    def task(self, data: TrainingData, options: RunOptions, base: Generator | None) -> Task:  # noqa: ARG002
        """See :class:`aigc.training.recipe.Recipe`."""
        from aigc.generate.bert import BertGenerator
        from aigc.generate.bert_task import BertTask
        from aigc.generate.tokenizer import TextTokenizer

        assert isinstance(data.train, TextData)
        chosen: BertOptions = options.groups["bert"]
        texts = _whole(data.train)
        tokenizer = TextTokenizer.train(texts.documents, chosen.vocabulary_size)
        fresh = BertGenerator.fresh(chosen.shape(len(tokenizer)), tokenizer, options.trainer.seed)
        return BertTask(fresh, texts, options.groups["text"])

    def generator(self, task: Task, modules: Mapping[str, nn.Module]) -> Generator:
        """See :class:`aigc.training.recipe.Recipe`."""
        from aigc.generate.bert_task import BertTask

        assert isinstance(task, BertTask)
        return task.generator(modules)


def _whole(data: TextData) -> TextData:
    """Dialogues as texts: question and answer together."""
    return TextData(
        [*data.documents, *("\n".join(pair) for pair in data.pairs)],
        [*data.held_out, *("\n".join(pair) for pair in data.held_out_pairs)],
    )
