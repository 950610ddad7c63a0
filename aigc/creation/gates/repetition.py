"""Texts that go round in circles, and texts of nothing."""

from __future__ import annotations

import re
import zlib
from itertools import pairwise

from aigc.creation.candidate import Candidate
from aigc.creation.gates.gate import Finding

__all__ = ["RepetitionGate"]

_UNIT = re.compile(r"[\u3400-\u9fff]|[^\W_\u3400-\u9fff]+")
_LEAST_UNITS = 4
_WINDOW = 4
_MOST_REPEATED = 0.35
_LEAST_RATIO = 0.25
_LONG_BYTES = 400
_RUN = re.compile(r"(.{1,40}?)\1{3,}", re.DOTALL)


class RepetitionGate:
    """Refuses a text whose four-word windows repeat, that says one thing four times running, or that is empty.

    The windows are the repetition measure of text generation (Welleck et al. 2020, seq-rep-4).
    """

    name = "repetition"

    def judge(self, candidate: Candidate) -> Finding | None:
        """See :class:`Gate`."""
        if candidate.kind != "text":
            return None
        units = _UNIT.findall(candidate.text.lower())
        if len(units) < _LEAST_UNITS:
            return Finding("EMPTY_TEXT", f"has {len(units)} words; a text needs at least {_LEAST_UNITS}")
        run = _RUN.search(candidate.text)
        if run and len(run.group()) >= _LEAST_UNITS * 2 and _UNIT.search(run.group(1)):
            return Finding("REPEATED_TEXT", f"says {run.group(1)[:30]!r} four times running")
        echoes = sum(a == b for a, b in pairwise(units)) / (len(units) - 1)
        if echoes > _MOST_REPEATED:
            return Finding("REPEATED_TEXT", f"{echoes:.0%} of its words say the word before again")
        windows = [tuple(units[i : i + _WINDOW]) for i in range(len(units) - _WINDOW + 1)]
        repeated = 1 - len(set(windows)) / len(windows)
        if repeated > _MOST_REPEATED:
            return Finding("REPEATED_TEXT", f"{repeated:.0%} of its four-word windows stand in it before")
        data = candidate.text.encode()
        if len(data) >= _LONG_BYTES and len(zlib.compress(data, 9)) / len(data) < _LEAST_RATIO:
            return Finding("REPEATED_TEXT", "compresses to less than a quarter: it says little")
        return None
