"""Vectors of words, learned elsewhere from more language than any captions hold: read from a ``.vec`` file."""

from __future__ import annotations

import math
from collections.abc import Set
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from aigc.errors import InvalidInputError

__all__ = ["WordVectors", "read_word_vectors"]

_FIELD = "word_vectors"
_REMEDY = "give a text file whose first line is 'count size' and every other one 'word v1 … vsize', in UTF-8"
_MOST_NUMBERS = 4096
_HEADER = 2


@dataclass(frozen=True, slots=True, eq=False)
class WordVectors:
    """A table.

    Attributes:
        words: Lower-case, each once.
        vectors: (n, size) float16, each row of length 1.
    """

    words: tuple[str, ...]
    vectors: Tensor


def read_word_vectors(path: Path, most: int, needed: Set[str] = frozenset()) -> WordVectors:
    """The first words of a file in the format of word2vec and fastText (Mikolov et al. 2013; Bojanowski et al. 2017).

    Args:
        path: A text file in UTF-8; its first line is the number of words and the size, each other line a word and its
            numbers, divided by spaces. Commonly the most frequent word comes first.
        most: Words kept from the beginning; numbers of the others are not looked at.
        needed: Words kept wherever they stand.

    Raises:
        InvalidInputError: ``word_vectors`` cannot be read, is empty or cut off, is no UTF-8, or a line has another
            size, no number where one belongs, or one that is not finite; names the line.
    """
    try:
        with path.open(encoding="utf-8", newline="\n") as file:
            count, size = _header(file.readline(), path)
            rows = _rows(file, path, (count, size), most, needed)
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise InvalidInputError(f"word_vectors: {path} cannot be read ({reason}); {_REMEDY}", field=_FIELD) from error
    except UnicodeDecodeError as error:
        raise InvalidInputError(
            f"word_vectors: {path} is not in UTF-8 ({error.reason}); {_REMEDY}", field=_FIELD
        ) from error
    if not rows:
        raise InvalidInputError(f"word_vectors: {path} has no word with a vector; {_REMEDY}", field=_FIELD)
    return WordVectors(tuple(rows), torch.from_numpy(np.stack(list(rows.values()))))


def _header(line: str, path: Path) -> tuple[int, int]:
    parts = line.split()
    if len(parts) == _HEADER and all(part.isdecimal() for part in parts):
        count, size = (int(part) for part in parts)
        if count and 1 <= size <= _MOST_NUMBERS:
            return count, size
    shown = f"begins with {line[:60].strip()!r}" if line else "is empty"
    raise InvalidInputError(f"word_vectors: {path} {shown}; {_REMEDY}", field=_FIELD)


def _rows(
    file: TextIO, path: Path, shape: tuple[int, int], most: int, needed: Set[str]
) -> dict[str, NDArray[np.float16]]:
    """Word → (size,) of length 1; a word of zeros or one that was there before is left out."""
    count, size = shape
    rows: dict[str, NDArray[np.float16]] = {}
    number = 1
    for number, raw in enumerate(file, start=2):
        line = raw.rstrip(" \r\n")
        word = line.partition(" ")[0].lower()
        if not word or line.count(" ") != size:
            raise InvalidInputError(
                f"word_vectors: {path}, line {number} has {line.count(' ')} numbers instead of {size}; {_REMEDY}",
                field=_FIELD,
            )
        if (len(rows) >= most and word not in needed) or word in rows:
            continue
        try:
            vector = np.array(line.split(" ")[1:], dtype=np.float32)
        except ValueError as error:
            raise InvalidInputError(f"word_vectors: {path}, line {number}: {error}; {_REMEDY}", field=_FIELD) from error
        length = float(np.linalg.norm(vector.astype(np.float64)))
        if not math.isfinite(length):
            raise InvalidInputError(
                f"word_vectors: {path}, line {number} ({word[:40]}) has NaN or infinity; take that line out, and "
                "count it no longer in the first line",
                field=_FIELD,
            )
        if length > 0:
            rows[word] = (vector / length).astype(np.float16)
    if number - 1 != count:
        raise InvalidInputError(
            f"word_vectors: {path} has {number - 1} words, and its first line says {count}: it was cut off or "
            "added to; get it anew, or correct the first line",
            field=_FIELD,
        )
    return rows
