"""How a text model learns: free of torch."""

from __future__ import annotations

from dataclasses import dataclass

from aigc.errors import InvalidInputError

__all__ = ["TextTrainingOptions"]


@dataclass(frozen=True, slots=True)
class TextTrainingOptions:
    """How a text model learns.

    Attributes:
        batch_size: Rows a step, over all processes.
        matrix_learning_rate: Of the blocks' matrices (Muon).
        learning_rate: Of embeddings and gains (AdamW).
        weight_decay: Of the matrices.
        compile_blocks: Let ``torch.compile`` fuse the small steps of a block: training on a CPU is about a third
            faster, after some ten seconds and with a C++ compiler at hand.
        validation_tokens: Validation stops after so many.
        validation_rows: Rows of a validation batch.
        sample_prompts: What the sample sheets continue.
        sample_tokens: Most tokens of each continuation.
    """

    batch_size: int = 32
    matrix_learning_rate: float = 0.02
    learning_rate: float = 0.003
    weight_decay: float = 0.0
    compile_blocks: bool = False
    validation_tokens: int = 131_072
    validation_rows: int = 32
    sample_prompts: tuple[str, ...] = ("",)
    sample_tokens: int = 100

    def __post_init__(self) -> None:
        for name in ("batch_size", "validation_tokens", "validation_rows"):
            if getattr(self, name) < 1:
                raise InvalidInputError(f"{name} is {getattr(self, name)}; give at least 1", field=name)
        for name in ("matrix_learning_rate", "learning_rate"):
            if not getattr(self, name) > 0:
                raise InvalidInputError(f"{name} is {getattr(self, name)}; give a number above 0", field=name)
        if not self.weight_decay >= 0:
            raise InvalidInputError(f"weight_decay is {self.weight_decay}; give 0 or more", field="weight_decay")
