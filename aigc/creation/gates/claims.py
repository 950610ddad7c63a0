"""Numbers and names that no source supports."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Collection

from aigc.creation.candidate import Candidate
from aigc.creation.gates.chinese_numbers import plain_number
from aigc.creation.gates.gate import Finding

__all__ = ["ClaimsGate"]

_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
_CHINESE_NUMBER = re.compile(r"(?:百分之)?[零〇一二三四五六七八九十百千万亿两]{2,}|百分之[一二三四五六七八九十百]")
# One numeral alone is a number where it measures: 三成, 五倍, 九年; 一 is an article, but for 一成 and 一倍.
_MEASURED = re.compile(r"[二三四五六七八九十百千两](?=[成倍折年月日岁元块亿万%名位])|一(?=[成倍折])")
# Numerals that count nothing.
_NO_NUMBERS = re.compile(
    r"万一|一一|千万(?=[别不要记莫])|千千万万|三三两两|[千百]万[年次]?|万万|亿万|万千|十万|百十|千百|两三|三两|三四|七八"
)
_UNITS = "zero one two three four five six seven eight nine ten eleven twelve"
_TEENS = "thirteen fourteen fifteen sixteen seventeen eighteen nineteen"
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety"
_SCALES = "hundred thousand million billion trillion"
_ONE_WORD = "|".join(f"{_UNITS} {_TEENS} {_TENS}".split())
_WORD_NUMBER = re.compile(
    rf"(?i)\b(?:(?:{_ONE_WORD}|a)[ -](?:{_SCALES.replace(' ', '|')})s?\b(?:[ -](?:and[ -])?(?:{_ONE_WORD}))*"
    rf"|(?:{_TENS.replace(' ', '|')})-(?:{_UNITS.replace(' ', '|')})\b"
    rf"|(?:{_ONE_WORD})(?= per ?cent\b| times\b))"
)
_SENTENCE = re.compile(r"(?:^|[.!?。!?\n\"“:;]\s*)$")
_CAPITALISED = re.compile(r"\b[A-Z][a-z]+(?:\s+[A-Z][a-z]+)*\b")
_HAN = re.compile(r"[\u3400-\u9fff]")
_NAME_TAGS = ("nr", "ns", "nt", "nrt", "nz")
# Capitalised wherever they stand.
_ORDINARY_WORDS = """
I A An The And But Or So If When Where What Who How Why Yes No Mr Mrs Miss Sir Lord Lady King Queen God
Monday Tuesday Wednesday Thursday Friday Saturday Sunday January February March April May June July August
September October November December English Chinese
"""
_ORDINARY = frozenset(_ORDINARY_WORDS.split())


class ClaimsGate:
    """Refuses, or marks, a text with a number or a name that stands neither in its sources nor in its prompt.

    Verse and fiction claim nothing: kinds of text that are exempt pass. English names are capitalised words inside
    sentences; Chinese ones are what a part-of-speech tagger calls a person, a place or an organisation.
    """

    name = "claims"

    def __init__(self, *, refuse: bool = True, exempt: Collection[str] = ()) -> None:
        """Args: refuse: False only marks; exempt: labels (classes, categories) that claim nothing."""
        self._refuse = refuse
        self._exempt = frozenset(exempt)

    def judge(self, candidate: Candidate) -> Finding | None:
        """See :class:`Gate`."""
        if candidate.kind != "text" or candidate.label in self._exempt:
            return None
        told = unicodedata.normalize("NFKC", candidate.words)
        known = unicodedata.normalize("NFKC", "\n".join([candidate.prompt, *map(_everything, candidate.sources)]))
        for reason, what, find in (
            ("UNSUPPORTED_NUMBER", "the number", _numbers),
            ("UNSUPPORTED_NAME", "the name", _names),
        ):
            missing = sorted(find(told) - find(known) - _inside(find(told), known))
            if missing:
                return Finding(
                    reason, f"states {what} {missing[0]!r}, which no source item supports", refuses=self._refuse
                )
        return None


def _everything(item: object) -> str:
    title, text = getattr(item, "title", ""), getattr(item, "text", "")
    tags, categories = getattr(item, "tags", ()), getattr(item, "categories", ())
    author = getattr(item, "author", "")
    return "\n".join([title, text, author, *tags, *categories])


def _inside(found: set[str], known: str) -> set[str]:
    """Names that stand in the known text as they are, however a tagger cut it."""
    return {each for each in found if not each[0].isdigit() and each in known}


def _numbers(text: str) -> set[str]:
    digits = {number.replace(",", "").rstrip(".") for number in _NUMBER.findall(text)}
    words = {match.group().lower() for match in _WORD_NUMBER.finditer(text)} - {"a hundred", "a thousand", "a million"}
    plain = _NO_NUMBERS.sub(" ", text)
    chinese = (*_CHINESE_NUMBER.findall(plain), *_MEASURED.findall(plain))
    return digits | words | {plain_number(numerals) for numerals in chinese}


def _names(text: str) -> set[str]:
    return _english_names(text) | (_chinese_names(text) if _HAN.search(text) else set())


def _english_names(text: str) -> set[str]:
    found: set[str] = set()
    for match in _CAPITALISED.finditer(text):
        words = match.group().split()
        if _SENTENCE.search(text[: match.start()]):
            # The first word of a sentence is capitalised whatever it is.
            words = words[1:]
        found.update(word for word in words if word not in _ORDINARY)
    return found


def _chinese_names(text: str) -> set[str]:
    # Slow to import.
    import rjieba

    tag: Callable[[str], list[tuple[str, str]]] = rjieba.tag
    return {word for word, kind in tag(text) if kind in _NAME_TAGS and len(word) > 1 and _HAN.match(word)}
