"""How a text speaks of its subject: for or against, in English and Chinese."""

from __future__ import annotations

import re
import threading
import warnings
from functools import lru_cache
from importlib import resources
from typing import Any

__all__ = ["sentiment"]

_HAN = re.compile(r"[\u3400-\u9fff]")
_MAX_CHARACTERS = 5000
# A negation of several characters holds one of these.
_NOT = re.compile("[不没无别莫非未]|谈不上")
_NOT_NOT = re.compile("非常|无比|未来|不仅|不但|特别|别致")
_REACH = 4


def sentiment(text: str) -> float:
    """From -1 (against) to 1 (for); 0 where nothing is judged, or in other languages.

    English by VADER (Hutto and Gilbert 2014). Chinese by words of judgement whose sense a negation just before them
    turns, and by snownlp's shopping reviews, halved, where no such word stands: its classifier alone takes 很不满意 for
    praise.
    """
    text = text[:_MAX_CHARACTERS]
    if _HAN.search(text):
        return _chinese(text)
    return float(_vader().polarity_scores(text)["compound"]) if text.strip() else 0.0


def _chinese(text: str) -> float:
    total, found = 0.0, 0
    praise, judgements = _judgements()
    for match in judgements.finditer(text):
        word = match.group()
        value = 1.0 if word in praise else -1.0
        before = re.split(r"[,。!?;、,.!?;\s]", text[max(0, match.start() - _REACH) : match.start()])[-1]
        if _NOT.search(_NOT_NOT.sub("", before)):
            # What is not bad is not yet good.
            value *= -0.8 if value > 0 else -0.5
        total += value
        found += 1
    if found:
        return max(-1.0, min(1.0, total / (found + 0.5)))
    return 0.5 * _reviews(text)


def _reviews(text: str) -> float:
    with _LOCK, warnings.catch_warnings():
        # The package's regular expressions warn when they are compiled.
        warnings.simplefilter("ignore")
        from snownlp import SnowNLP

        try:
            raw = 2 * float(SnowNLP(text).sentiments) - 1
        except ZeroDivisionError:
            return 0.0
    return raw if abs(raw) > 0.6 else 0.0


_LOCK = threading.Lock()


@lru_cache(maxsize=1)
def _judgements() -> tuple[frozenset[str], re.Pattern[str]]:
    """The words of praise, and a pattern of all words of judgement."""
    text = resources.files("aigc.prepare").joinpath("judgement_words.txt").read_text(encoding="utf-8")
    _, praise, blame = re.split(r"^\[\w+\]$", text, flags=re.MULTILINE)
    words = sorted([*praise.split(), *blame.split()], key=lambda w: (-len(w), w))
    return frozenset(praise.split()), re.compile("|".join(map(re.escape, words)))


@lru_cache(maxsize=1)
def _vader() -> Any:
    from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer

    return SentimentIntensityAnalyzer()
