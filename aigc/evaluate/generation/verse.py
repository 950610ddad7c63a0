"""Form and rhyme of Chinese verse."""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Iterable

__all__ = ["RhymeBook", "in_form", "verse_lines"]

_MARKS = re.compile(r"[，。？！、；：\s]+")
_HAN = re.compile(r"[\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]+")


def verse_lines(text: str) -> list[str]:
    """The verses between punctuation marks and line ends."""
    return [part for part in _MARKS.split(text) if part]


def in_form(text: str, lines: int = 4, characters: int = 5) -> bool:
    """Whether a text is just so many verses of so many Han characters each: four of five is a 五言絕句."""
    found = verse_lines(text)
    return len(found) == lines and all(len(line) == characters and _HAN.fullmatch(line) for line in found)


class RhymeBook:
    """Which characters rhyme, learnt from poems: Tang rhymes are not those of today's readings.

    Two characters rhyme where they end even verses of one poem ``lift`` times as often as by chance or more,
    or where both do so with three others: rare pairs are seldom seen together.
    """

    def __init__(self, poems: Iterable[str], lift: float = 3.0) -> None:
        together: Counter[tuple[str, str]] = Counter()
        alone: Counter[str] = Counter()
        for poem in poems:
            ends = sorted({line[-1] for line in verse_lines(poem)[1::2]})
            for pair in itertools.combinations(ends, 2):
                together[pair] += 1
                alone.update(pair)
        pairs = together.total()
        self._with: dict[str, set[str]] = {}
        for (a, b), times in together.items():
            if 2 * pairs * times >= lift * alone[a] * alone[b]:
                self._with.setdefault(a, set()).add(b)
                self._with.setdefault(b, set()).add(a)

    def rhyme(self, a: str, b: str) -> bool:
        """Whether two characters rhyme; not with themselves, for repeating is none."""
        if a == b:
            return False
        with_a, with_b = self._with.get(a, set()), self._with.get(b, set())
        return b in with_a or len(with_a & with_b) >= 3

    def rhymes(self, text: str) -> bool:
        """Whether all even verses of a text rhyme, one after another."""
        ends = [line[-1] for line in verse_lines(text)[1::2]]
        return len(ends) > 1 and all(self.rhyme(a, b) for a, b in itertools.pairwise(ends))
