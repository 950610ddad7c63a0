"""Numbers and names that no source supports."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Collection

from aigc.creation.candidate import Candidate
from aigc.creation.gates.gate import Finding

__all__ = ["ClaimsGate"]

_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
_CHINESE_NUMBER = re.compile(r"[零〇一二三四五六七八九十百千万亿两]{2,}")
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
    return digits | set(_CHINESE_NUMBER.findall(text))


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
