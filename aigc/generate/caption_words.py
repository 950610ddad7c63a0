"""A caption's words, of those that a table of word vectors knows: English by spaces, Chinese by longest match."""

from __future__ import annotations

import re
from collections.abc import Container

__all__ = ["candidate_words", "caption_words"]

_RUNS = re.compile(r"[^\W\d_一-鿿]+|\d+|[一-鿿]+")
_LONGEST = 8
# Ending → what stands in its place: "kisses" is looked up as "kisses", "kisse", "kiss".
_ENDINGS = (("s", ""), ("es", ""), ("ies", "y"), ("ing", ""), ("ing", "e"), ("ed", ""), ("ed", "e"))
_SHORTEST = 3


def caption_words(caption: str, known: Container[str]) -> list[str]:
    """The known words of a caption, each once, in its order; what is unknown is left out.

    A word of letters that is unknown is tried without the ending of a plural, ``-ing`` or ``-ed``; of a run of Chinese
    the longest known word of up to eight characters is taken from where the last one ended.

    Args:
        caption: Any text.
        known: Lower-case words.
    """
    found: dict[str, None] = {}
    for run in _RUNS.findall(caption.lower()):
        if not "一" <= run[0] <= "鿿":
            found |= dict.fromkeys([form for form in _forms(run) if form in known][:1])
            continue
        start = 0
        while start < len(run):
            ends = range(min(len(run), start + _LONGEST), start, -1)
            end = next((end for end in ends if run[start:end] in known), 0)
            if end:
                found[run[start:end]] = None
            start = end or start + 1
    return list(found)


def candidate_words(caption: str) -> set[str]:
    """Everything that :func:`caption_words` would look up in a caption."""
    found: set[str] = set()
    for run in _RUNS.findall(caption.lower()):
        if "一" <= run[0] <= "鿿":
            found |= {run[a:b] for a in range(len(run)) for b in range(a + 1, min(len(run), a + _LONGEST) + 1)}
        else:
            found |= set(_forms(run))
    return found


def _forms(word: str) -> list[str]:
    """A word, then what it may be a form of; ``running`` as ``run`` too."""
    forms = [word]
    for ending, instead in _ENDINGS:
        stem = word.removesuffix(ending)
        if stem != word and len(stem) >= _SHORTEST:
            forms.append(stem + instead)
            if ending in ("ing", "ed") and stem[-1] == stem[-2]:
                forms.append(stem[:-1])
    return forms
