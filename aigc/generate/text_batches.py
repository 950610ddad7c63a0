"""Texts as tensors of tokens: windows of a long stream, and dialogues with the answers marked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from aigc.errors import InvalidInputError
from aigc.generate.tokenizer import TextTokenizer

__all__ = ["IGNORED", "Examples", "answer_examples", "token_stream"]

IGNORED = -100  # torch's own mark for a target that does not count.


def token_stream(documents: Sequence[str], tokenizer: TextTokenizer) -> Tensor:
    """(n,) int64: all documents one after another, with the end mark after each when there are several.

    One document alone is a running text (nanoGPT's Tiny Shakespeare): nothing ends it.
    """
    tokens: list[int] = []
    for part in tokenizer.encode_many(documents):
        tokens += part
        if len(documents) > 1:
            tokens.append(tokenizer.end)
    return torch.tensor(tokens, dtype=torch.int64)


@dataclass(frozen=True, slots=True)
class Examples:
    """Padded rows: ``tokens`` (n, T) int64, ``targets`` (n, T) int64 with IGNORED where nothing is to be learnt."""

    tokens: Tensor
    targets: Tensor

    def __len__(self) -> int:
        """Number of rows."""
        return len(self.tokens)


def answer_examples(pairs: Sequence[tuple[str, str]], tokenizer: TextTokenizer, context: int) -> Examples:
    """Question and answer, a row each, with targets on the answer and its end mark only.

    A question that is too long loses its beginning, an answer its end.

    Raises:
        InvalidInputError: No pairs.
    """
    if not pairs:
        raise InvalidInputError("there are no dialogue pairs to learn from; give some", field="pairs")
    questions = [tokenizer.chat([question]) for question, _ in pairs]
    answers = [[*answer, tokenizer.end] for answer in tokenizer.encode_many([answer for _, answer in pairs])]
    rows, targets = [], []
    for question, answer in zip(questions, answers, strict=True):
        answer = answer[: context // 2]
        question = question[-(context - len(answer)) :]
        rows.append((question + answer)[:-1])
        targets.append([IGNORED] * (len(question) - 1) + answer)
    length = max(map(len, rows))
    return Examples(_padded(rows, length, tokenizer.pad), _padded(targets, length, IGNORED))


def _padded(rows: Sequence[Sequence[int]], length: int, fill: int) -> Tensor:
    table = torch.full((len(rows), length), fill, dtype=torch.int64)
    for i, row in enumerate(rows):
        table[i, : len(row)] = torch.tensor(row, dtype=torch.int64)
    return table
