"""What may be done to a generated text afterwards; each step is asked for, and says what it did."""

from __future__ import annotations

import re
from dataclasses import dataclass

__all__ = ["TextPostProcessing", "postprocess_text"]

_HAN = "\u3400-\u9fff\uf900-\ufaff"
_QUOTES = "\u201d\u2019\u300d\u300f\uff09\u3011\"'"
_STOPS = "\u3002\uff01\uff1f\u2026"
# A full stop after a single capital is an initial's.
_SENTENCE_END = re.compile(rf"(?:[{_STOPS}]|(?<!\b[A-Z])[.!?])[{_QUOTES}]*(?=\s|$|[{_HAN}\u201c])")
_PHRASE = re.compile(r"(?P<unit>[^\n]{2,80}?)(?:(?P=unit)){2,}")
_WORD = re.compile(r"\b(?P<word>\w+)(?:[ ,]+(?P=word)\b){2,}", re.IGNORECASE)
# By code point: full-width and half-width marks look alike.
_WIDE = {",": "\uff0c", "?": "\uff1f", "!": "\uff01", ":": "\uff1a", ";": "\uff1b", "(": "\uff08", ")": "\uff09"}
_NARROW = {wide: narrow for narrow, wide in _WIDE.items()} | {"\u3002": "."}
_SPACED = re.compile(r"[^\S\n]+")
_BEFORE_MARK = re.compile(r"[^\S\n]+(?=[,.;:!?\uff0c\u3002\uff1b\uff1a\uff01\uff1f\u3001])")
_BETWEEN_HAN = re.compile(rf"(?<=[{_HAN}])[^\S\n]+(?=[{_HAN}])")
_BLANK_LINES = re.compile(r"\n{3,}")


@dataclass(frozen=True, slots=True)
class TextPostProcessing:
    """Steps wanted, done in this order.

    Attributes:
        remove_repetition: A phrase said three times running or more is said once.
        complete_sentence: Cut after the last complete sentence, where there is one.
        punctuation: Full-width marks after Chinese characters, half-width ones after letters.
        whitespace: No space before a mark, between Chinese characters or at the ends; single spaces elsewhere.
    """

    remove_repetition: bool = False
    complete_sentence: bool = False
    punctuation: bool = False
    whitespace: bool = False


def postprocess_text(text: str, wanted: TextPostProcessing) -> tuple[str, tuple[str, ...]]:
    """The text after the steps, and a sentence for each that was asked for."""
    said: list[str] = []
    if wanted.remove_repetition:
        before, text = text, _PHRASE.sub(lambda m: m["unit"], _WORD.sub(lambda m: m["word"], text))
        said.append(_told("remove_repetition", "characters taken out", len(before) - len(text)))
    if wanted.complete_sentence:
        ends = [match.end() for match in _SENTENCE_END.finditer(text)]
        cut = len(text.rstrip()) - ends[-1] if ends else 0
        if cut > 0:
            text = text[: ends[-1]]
        said.append(
            _told("complete_sentence", "characters cut off the end", cut) if ends else "complete_sentence: none"
        )
    if wanted.punctuation:
        after = _with_own_marks(text)
        said.append(_told("punctuation", "marks changed", sum(a != b for a, b in zip(text, after, strict=True))))
        text = after
    if wanted.whitespace:
        before = text
        text = _BETWEEN_HAN.sub("", _BEFORE_MARK.sub("", _SPACED.sub(" ", text)))
        text = _BLANK_LINES.sub("\n\n", "\n".join(line.strip() for line in text.split("\n"))).strip()
        said.append(_told("whitespace", "characters taken out", len(before) - len(text)))
    return text, tuple(said)


def _told(step: str, what: str, count: int) -> str:
    return f"{step}: {count} {what}"


def _with_own_marks(text: str) -> str:
    """Each mark in the width of the letter before it; a decimal point and a time's colon stay."""
    out = list(text)
    chinese = False
    for i, character in enumerate(text):
        if re.match(rf"[{_HAN}]", character):
            chinese = True
        elif character.isalnum():
            chinese = False
        elif character in (_WIDE if chinese else _NARROW):
            out[i] = (_WIDE if chinese else _NARROW)[character]
        elif chinese and character == "." and not text[i + 1 : i + 2].isalnum():
            out[i] = "\u3002"
    return "".join(out)
