"""Which language a text is in: by its script, and where that does not settle it, by a language identifier."""

from __future__ import annotations

import re
import threading
from collections.abc import Sequence
from functools import lru_cache
from importlib import resources
from typing import Any

__all__ = ["UNKNOWN", "detect_language", "detect_languages"]

UNKNOWN = "und"

_KANA = re.compile(r"[\u3041-\u30ff\u31f0-\u31ff\uff66-\uff9f]")
_HANGUL = re.compile(r"[\uac00-\ud7af\u1100-\u11ff\u3130-\u318f]")
_HAN = re.compile(r"[\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]")
_LATIN = re.compile(r"[a-zA-Z\u00c0-\u024f]")
_LETTER = re.compile(r"[^\W\d_]")
_FOREIGN = re.compile(r"[\u00c0-\u024f]")
_CODE = re.compile(r"[_=(){}<>\[\];@#\\/]|\w\.\w|``")
_WORD = re.compile(r"[a-z']+")
# Scripts that one language, or one above all, is written in.
_SCRIPTS = (
    (re.compile(r"[\u0400-\u04ff]"), "ru"),
    (re.compile(r"[\u0600-\u06ff]"), "ar"),
    (re.compile(r"[\u0900-\u097f]"), "hi"),
    (re.compile(r"[\u0e00-\u0e7f]"), "th"),
    (re.compile(r"[\u0370-\u03ff]"), "el"),
    (re.compile(r"[\u0590-\u05ff]"), "he"),
)
# Of the identifier's many languages, those that shops and communities write in; the rare ones attract short texts.
_LANGUAGES = (
    "en de fr es it nl pt sv da no fi pl cs sk hu ro tr vi id ms ru uk bg sr hr el ar fa he hi bn ta th ja ko zh"
)
_LOCK = threading.Lock()
_known: list[Any] = []


def detect_language(text: str) -> str:
    """A BCP 47 tag such as ``zh``, ``en`` or ``fr``; ``und`` where there is no letter to tell by.

    Han characters without kana or hangul are Chinese, classical or modern. Latin script is judged by its commonest
    words and, where they do not settle it, by py3langid (Lui and Baldwin 2012).
    """
    text = text[:4000]
    letters = len(_LETTER.findall(text))
    if not letters:
        return UNKNOWN
    han, latin = len(_HAN.findall(text)), len(_LATIN.findall(text))
    if len(_KANA.findall(text)) * 8 > letters:
        return "ja"
    if len(_HANGUL.findall(text)) * 4 > letters:
        return "ko"
    # A Chinese character says about as much as a word in Latin letters.
    if han and han >= len(_WORD.findall(text.lower())):
        return "zh"
    for script, language in _SCRIPTS:
        if len(script.findall(text)) * 2 > letters:
            return language
    if latin * 2 <= letters:
        return _identify(text)
    return _latin(text)


def detect_languages(texts: Sequence[str]) -> list[str]:
    """:func:`detect_language` of each."""
    return [detect_language(text) for text in texts]


def _latin(text: str) -> str:
    words = _WORD.findall(text.lower())
    common, foreign = _common_words()
    english = sum(word in common for word in words)
    other = sum(word in foreign for word in words)
    plain = not _FOREIGN.search(text)
    if english > other and (plain or english > 2 * other + 1):
        return "en"
    if plain and not other and len(words) <= 4:
        # Too short for statistics: a name, a greeting, an exclamation.
        return "en"
    if plain and not other and english:
        return "en"
    found = _identify(text)
    # Code and names look like many a language; most of it is among English.
    return "en" if plain and not other and _CODE.search(text) else found


@lru_cache(maxsize=1)
def _common_words() -> tuple[frozenset[str], frozenset[str]]:
    """English ones, and those of other languages in Latin letters."""
    text = resources.files("aigc.prepare").joinpath("common_words.txt").read_text(encoding="utf-8")
    _, english, other = re.split(r"^\[\w+\]$", text, flags=re.MULTILINE)
    return frozenset(english.split()), frozenset(other.split()) - frozenset(english.split())


def _identify(text: str) -> str:
    # Slow to import.
    from py3langid import langid

    with _LOCK:
        if not _known:
            _known.append(langid.LanguageIdentifier.from_model_file(langid.MODEL_FILE))
            _known[0].set_languages(_LANGUAGES.split())
        return str(_known[0].classify(text)[0])
