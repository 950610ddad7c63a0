"""A language model, and one fine-tuned to answer."""

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

__all__ = ["GptOptions", "GptRecipe"]

_TOKENIZERS = ("bytes", "characters")


@dataclass(frozen=True, slots=True)
class GptOptions:
    """Vocabulary and shape. With ``base`` both are that model's, and the others here do not count.

    Attributes:
        base: A trained gpt to begin from, such as poems or poems@3: what was learned there is kept.
        tokenizer: bytes: pairs of bytes, for any language; characters: each one that occurs, for one small text.
        vocabulary_size: Tokens at most, with bytes.
        context: Most tokens that the model looks at.
        layers: Number of blocks.
        heads: Query heads of each attention.
        key_heads: Key and value heads, each shared by heads / key_heads query heads; 0 for as many as heads.
        width: Length of the residual stream.
        hidden: Width of the feed-forward part; 0 for about as many weights as four times the width would give.
        activation: swiglu or relu2.
        dropout: In training; in [0, 1).
    """

    base: str = ""
    tokenizer: str = "bytes"
    vocabulary_size: int = 6144
    context: int = 128
    layers: int = 6
    heads: int = 4
    key_heads: int = 0
    width: int = 256
    hidden: int = 0
    activation: Activation = "swiglu"
    dropout: float = 0.0

    def __post_init__(self) -> None:
        """Refuse values without a meaning."""
        if self.tokenizer not in _TOKENIZERS:
            raise InvalidInputError(
                f"tokenizer is {self.tokenizer!r}; give {' or '.join(_TOKENIZERS)}", field="tokenizer"
            )
        self.shape(self.vocabulary_size)

    def shape(self, vocabulary_size: int) -> TransformerOptions:
        """The model's shape with that many tokens."""
        return TransformerOptions(
            vocabulary_size,
            context=self.context,
            layers=self.layers,
            heads=self.heads,
            key_heads=self.key_heads,
            width=self.width,
            hidden=self.hidden,
            activation=self.activation,
            dropout=self.dropout,
        )


class GptRecipe:
    """See :class:`aigc.training.recipe.Recipe`."""

    kind = "gpt"
    description = (
        "Texts by a transformer: RMSNorm, rotary positions, QK-norm, SwiGLU, Muon. Of texts it learns to continue, of "
        "dialogues to answer; a model that shall answer well begins from one that learned texts (gpt.base=NAME, with "
        "text.matrix_learning_rate=0.01 and text.learning_rate=0.001)."
    )
    data = "texts"
    captions = False
    goes_on = True
    presets: Mapping[str, Mapping[str, Any]] = {}

    @property
    def groups(self) -> Mapping[str, Any]:
        """See :class:`aigc.training.recipe.Recipe`."""
        return {
            "gpt": GptOptions(),
            "text": TextTrainingOptions(),
            "data": TextDataOptions(),
            "trainer": TrainerOptions(
                steps=1200,
                schedule="linear",
                warmup_steps=20,
                average_decay=0.98,
                log_every=20,
                validate_every=300,
                checkpoint_every=200,
            ),
        }

    def base(self, options: RunOptions) -> str:
        """See :class:`aigc.training.recipe.Recipe`."""
        return str(options.groups["gpt"].base)

    def task(self, data: TrainingData, options: RunOptions, base: Generator | None) -> Task:
        """See :class:`aigc.training.recipe.Recipe`.

        Raises:
            InvalidInputError: The model to begin from is no gpt.
        """
        from aigc.generate.gpt import GptGenerator
        from aigc.generate.gpt_task import GptTask

        assert isinstance(data.train, TextData)
        if base is None:
            base = _fresh(data.train, options)
        if not isinstance(base, GptGenerator):
            raise InvalidInputError(f"gpt.base is a {base.kind}; give the name of a gpt", field="options[gpt.base]")
        return GptTask(base, data.train, options.groups["text"])

    def generator(self, task: Task, modules: Mapping[str, nn.Module]) -> Generator:
        """See :class:`aigc.training.recipe.Recipe`."""
        from aigc.generate.gpt_task import GptTask

        assert isinstance(task, GptTask)
        return task.generator(modules)


def _fresh(data: TextData, options: RunOptions) -> Generator:
    from aigc.generate.gpt import GptGenerator
    from aigc.generate.tokenizer import TextTokenizer

    chosen: GptOptions = options.groups["gpt"]
    documents = [*data.documents, *("\n".join(pair) for pair in data.pairs)]
    if chosen.tokenizer == "characters":
        held_out = [*data.held_out, *("\n".join(pair) for pair in data.held_out_pairs)]
        tokenizer = TextTokenizer.characters([*documents, *held_out])
    else:
        tokenizer = TextTokenizer.train(documents, chosen.vocabulary_size)
    return GptGenerator.fresh(chosen.shape(len(tokenizer)), tokenizer, options.trainer.seed)
