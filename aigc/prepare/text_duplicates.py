"""Texts that say the same but for small edits."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from aigc.prepare.duplicates import DuplicatePair

__all__ = ["find_text_duplicates"]

_NO_WORD = re.compile(r"[\W_]+")
# A Chinese character says about as much as three letters.
_HAN_SHINGLE, _LETTER_SHINGLE = 2, 6
_MAX_CHARACTERS = 5000
_PERMUTATIONS, _BAND = 128, 4
_CROWD = 200
_SHORT = 8
_BATCH = 2000


def find_text_duplicates(
    texts: Sequence[str],
    *,
    similarity: float = 0.65,
    seed: int = 0,
    on_progress: Callable[[float], None] | None = None,
) -> list[DuplicatePair]:
    """Pairs whose sets of pairs of characters (of six letters) have a Jaccard similarity of at least ``similarity``.

    MinHash (Broder 1997) with locality-sensitive hashing in 32 bands of 4 proposes pairs, the sets themselves decide.
    Case, punctuation, spaces and the width of letters do not count. A text of fewer than 8 letters is only like an
    equal one. Of more than 200 texts that share a band, each is compared with the first of them.

    Args:
        texts: n texts; of a longer one the first 5,000 characters count.
        similarity: In (0, 1].
        seed: Of the permutations.
        on_progress: Told of the fraction done.
    """
    import rensa

    plain = [_NO_WORD.sub("", unicodedata.normalize("NFKC", text[:_MAX_CHARACTERS]).lower()) for text in texts]
    pairs: dict[tuple[int, int], float] = {}
    seen: dict[str, int] = {}
    rows: list[int] = []
    for row, text in enumerate(plain):
        if text and text in seen:
            pairs[seen[text], row] = 1.0
        elif text:
            seen[text] = row
            if len(text) >= _SHORT:
                rows.append(row)
    digests = np.empty((len(rows), _PERMUTATIONS), np.uint32)
    for start in range(0, len(rows), _BATCH):
        for at, row in enumerate(rows[start : start + _BATCH], start):
            hashed = rensa.RMinHash(num_perm=_PERMUTATIONS, seed=seed)
            hashed.update(list(_shingles(plain[row])))
            digests[at] = hashed.digest()
        if on_progress is not None:
            on_progress(0.8 * start / len(rows))
    for a, b in sorted(_candidates(digests)):
        first, second = rows[a], rows[b]
        left, right = _shingles(plain[first]), _shingles(plain[second])
        common = len(left & right)
        alike = common / (len(left) + len(right) - common)
        if alike >= similarity:
            pairs[first, second] = alike
    if on_progress is not None:
        on_progress(1.0)
    return [DuplicatePair(a, b, alike) for (a, b), alike in sorted(pairs.items())]


def _shingles(text: str) -> set[str]:
    length = _HAN_SHINGLE if text[len(text) // 2] >= "\u3040" else _LETTER_SHINGLE
    return {text[i : i + length] for i in range(max(1, len(text) - length + 1))}


def _candidates(digests: NDArray[np.uint32]) -> set[tuple[int, int]]:
    """Pairs of rows that agree in a whole band."""
    found: set[tuple[int, int]] = set()
    for start in range(0, _PERMUTATIONS, _BAND):
        band = np.ascontiguousarray(digests[:, start : start + _BAND]).view([("", np.uint32)] * _BAND).ravel()
        order = np.argsort(band, kind="stable")
        ends = np.flatnonzero(np.append(band[order][1:] != band[order][:-1], True)) + 1
        begin = 0
        for end in ends.tolist():
            if end - begin > 1:
                group = sorted(order[begin:end].tolist())
                heads = group if len(group) <= _CROWD else group[:1]
                found.update((a, b) for i, a in enumerate(heads) for b in group[i + 1 :])
            begin = end
    return found
