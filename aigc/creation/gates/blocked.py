"""Terms and patterns that must not occur."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

import re2

from aigc.creation.candidate import Candidate
from aigc.creation.gates.gate import Finding
from aigc.errors import InvalidInputError
from aigc.prepare.chinese import simplified

__all__ = ["BlockedGate"]

_MAX_PATTERN = 1000
# What may stand between two characters of a term that somebody spaces out, all signs being spaces by then.
_GAP = " {0,3}"
_WORD_GAP = " {0,8}"
_SIGN = re.compile(r"[\W_]")
_SHORT = 4


class BlockedGate:
    """RE2 patterns: their time is linear in the text, so that no pattern, and no text, can hang the server.

    Text is compared in Unicode's compatibility form, without case and invisible characters, in simplified Chinese:
    full-width letters hide nothing. A term's characters may stand apart, by spaces or signs; those of Latin words of
    under four letters not, since they would be found in plain words.
    """

    name = "blocked"

    def __init__(self, terms: Sequence[str] = (), patterns: Sequence[str] = ()) -> None:
        """Args: terms: plain words, whole ones where they are of letters; patterns: RE2 expressions.

        Raises:
            InvalidInputError: A pattern is none; names it.
        """
        self._terms = [(term, re2.compile(_term(term))) for term in map(_plain, terms) if _spread(term).strip()]
        self._compiled = []
        for i, pattern in enumerate(patterns):
            field = f"gates.blocked_patterns[{i}]"
            if len(pattern) > _MAX_PATTERN:
                raise InvalidInputError(
                    f"{field} has {len(pattern)} characters; at most {_MAX_PATTERN} are allowed", field=field
                )
            try:
                self._compiled.append((pattern, re2.compile(f"(?i){pattern}")))
            except re2.error as error:
                raise InvalidInputError(
                    f"{field} is {pattern!r}, which RE2 cannot read ({error}); it knows neither look-around nor "
                    "back-references",
                    field=field,
                ) from error

    def judge(self, candidate: Candidate) -> Finding | None:
        """See :class:`Gate`."""
        text = _plain(f"{candidate.words}\n{candidate.label}")
        for known, told in ((self._terms, _spread(text)), (self._compiled, text)):
            for shown, pattern in known:
                if pattern.search(told):
                    return Finding("BLOCKED_TERM", f"holds {shown!r}, which is blocked")
        return None


def _plain(text: str) -> str:
    folded = unicodedata.normalize("NFKC", text).casefold()
    # Format characters (zero-width spaces and joiners, soft hyphens) are not seen, and must not hide a term.
    return simplified("".join(c for c in folded if unicodedata.category(c) != "Cf"))


def _spread(text: str) -> str:
    """Every sign a space."""
    return _SIGN.sub(" ", text)


def _term(term: str) -> str:
    words = _spread(term).split()
    left = r"\b" if words[0][0].isascii() else ""
    right = r"\b" if words[-1][-1].isascii() else ""
    if term.isascii() and len("".join(words)) < _SHORT:
        return f"{left}{' '.join(words)}{right}"
    return f"{left}{_WORD_GAP.join(_GAP.join(word) for word in words)}{right}"
