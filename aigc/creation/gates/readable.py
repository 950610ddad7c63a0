"""Characters that no reader can show."""

from __future__ import annotations

import unicodedata

from aigc.creation.candidate import Candidate
from aigc.creation.gates.gate import Finding

__all__ = ["ReadableGate"]

# U+FFFD stands where the bytes of a model were no text.
_BROKEN = "\ufffd"
_LAYOUT = "\n\t\r"


class ReadableGate:
    """Refuses words with a control character, a lone surrogate, or bytes that were no text."""

    name = "readable"

    def judge(self, candidate: Candidate) -> Finding | None:
        """See :class:`Gate`."""
        for character in candidate.words:
            if character == _BROKEN or (unicodedata.category(character) in ("Cc", "Cs") and character not in _LAYOUT):
                return Finding("UNREADABLE_TEXT", f"holds U+{ord(character):04X}, which nobody can read")
        return None
