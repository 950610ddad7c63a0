"""Measures of generated texts, each to be read beside the same measure of real texts of the kind."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from aigc.errors import InvalidInputError

__all__ = [
    "TextMeasures",
    "bits_per_character",
    "distinct",
    "longest_copy",
    "measure_texts",
    "repetition",
    "self_bleu",
    "units",
]

_UNIT = re.compile(r"[\u3400-\u9fff\uf900-\ufaff]|[^\W_\u3400-\u9fff\uf900-\ufaff]+|[^\w\s]")


@dataclass(frozen=True, slots=True)
class TextMeasures:
    """What a set of texts is like.

    Attributes:
        texts: How many.
        distinct_1: See :func:`distinct`.
        distinct_2: The same of pairs.
        distinct_4: The same of fours.
        repetition_4: See :func:`repetition`.
        self_bleu: See :func:`self_bleu`; NaN for fewer than two texts.
    """

    texts: int
    distinct_1: float
    distinct_2: float
    distinct_4: float
    repetition_4: float
    self_bleu: float


def units(text: str) -> list[str]:
    """Words, single Han characters and punctuation marks."""
    return _UNIT.findall(text.lower())


def bits_per_character(log_likelihood: float, characters: int) -> float:
    """Of a text's natural log-likelihood: lower is better, and tokenizers of any kind compare.

    Raises:
        InvalidInputError: No characters.
    """
    if characters < 1:
        raise InvalidInputError(f"characters is {characters}; measure a text that has some", field="characters")
    return -log_likelihood / math.log(2) / characters


def distinct(texts: Sequence[Sequence[str]], n: int) -> float:
    """distinct-n (Li et al. 2016): different n-grams of all texts together ÷ all of them; NaN where there are none.

    It falls with the amount of text: compare sets of the same size only, as :func:`measure_texts` does.
    """
    grams = [gram for text in texts for gram in _grams(text, n)]
    return len(set(grams)) / len(grams) if grams else math.nan


def repetition(texts: Sequence[Sequence[str]], n: int = 4) -> float:
    """Mean over texts of the share of their n-grams that stood in the same text before (Welleck et al. 2020)."""
    shares = [1 - len(set(grams)) / len(grams) for text in texts if (grams := _grams(text, n))]
    return sum(shares) / len(shares) if shares else math.nan


def self_bleu(texts: Sequence[Sequence[str]], n: int = 4, most: int = 200) -> float:
    """Mean BLEU of each text against all others (Zhu et al., Texygen, 2018): high where texts are alike.

    Args:
        texts: In units.
        n: Longest n-grams; all lengths up to it count alike.
        most: Only so many texts are compared, for the cost grows with their square.
    """
    texts = [text for text in texts if len(text) >= n][:most]
    if len(texts) < 2:
        return math.nan
    logs = [0.0] * len(texts)
    for size in range(1, n + 1):
        counts = [Counter(_grams(text, size)) for text in texts]
        # The two highest counts of each n-gram: the reference is the best of the other texts.
        best: dict[tuple[str, ...], list[int]] = {}
        for count in counts:
            for gram, times in count.items():
                best.setdefault(gram, [0, 0]).append(times)
                best[gram] = sorted(best[gram], reverse=True)[:2]
        for i, count in enumerate(counts):
            found = sum(min(times, best[g][1] if best[g][0] == times else best[g][0]) for g, times in count.items())
            # A little for none, so that one missing length does not erase the others (Chen and Cherry 2014).
            logs[i] += math.log(max(found, 0.1) / sum(count.values())) / n
    scores = []
    for i, text in enumerate(texts):
        others = [len(other) for j, other in enumerate(texts) if j != i]
        nearest = min(others, key=lambda length: (abs(length - len(text)), length))
        scores.append(math.exp(logs[i] + min(0.0, 1 - nearest / len(text))))
    return sum(scores) / len(scores)


def longest_copy(text: str, known: str) -> int:
    """Characters of the longest piece of ``text`` that stands in ``known`` word for word: what was learnt by heart."""
    longest = 0
    start = 0
    for end in range(1, len(text) + 1):
        while end - start > longest and text[start:end] not in known:
            start += 1
        longest = max(longest, end - start)
    return longest


def measure_texts(
    generated: Sequence[str], real: Sequence[str], split: Callable[[str], Sequence[str]] = units
) -> tuple[TextMeasures, TextMeasures]:
    """Measures of generated texts, and of real ones cut to the same number and the same lengths.

    Args:
        generated: Texts.
        real: Of the same kind, held out; at least as many and as long for a fair comparison.
        split: Text → units.
    """
    ours = [split(text) for text in generated]
    theirs = [split(text)[: len(own)] for text, own in zip(real, ours, strict=False)]
    return _measure(ours[: len(theirs)]), _measure(theirs)


def _measure(texts: Sequence[Sequence[str]]) -> TextMeasures:
    return TextMeasures(
        len(texts), distinct(texts, 1), distinct(texts, 2), distinct(texts, 4), repetition(texts), self_bleu(texts)
    )


def _grams(text: Sequence[str], n: int) -> list[tuple[str, ...]]:
    return [tuple(text[i : i + n]) for i in range(len(text) - n + 1)]
