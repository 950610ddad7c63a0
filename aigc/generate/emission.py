"""Tokens → text that may be shown: whole characters only, and nothing that may turn out to be a stop text."""

from __future__ import annotations

import codecs
from collections.abc import Sequence

from aigc.generate.text_request import FinishReason, TextChunk
from aigc.generate.tokenizer import Tokens

__all__ = ["Emission"]


class Emission:
    """One text's way out.

    Attributes:
        stopped: Whether a stop text was found; what stands before it is the end.
    """

    def __init__(self, tokenizer: Tokens, stop: Sequence[str] = ()) -> None:
        self.stopped = False
        self._pieces = tokenizer.pieces
        self._stop = tuple(stop)
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._ready = ""
        self._kept = ""  # may be the beginning of a stop text
        self._tokens: list[int] = []
        self._logprobs: list[float] = []

    def add(self, token: int, logprob: float | None = None) -> bool:
        """Take a token; whether there is text to show now. A character that is not whole yet waits for its rest."""
        self._tokens.append(token)
        if logprob is not None:
            self._logprobs.append(logprob)
        text = self._kept + self._decoder.decode(self._pieces[token])
        keep = 0
        if self._stop:
            found = min((at for at in map(text.find, self._stop) if at >= 0), default=-1)
            if found >= 0:
                self.stopped = True
                text = text[:found]
            else:
                keep = max(_overlap(text, stop) for stop in self._stop)
        self._ready += text[: len(text) - keep]
        self._kept = text[len(text) - keep :]
        return bool(self._ready)

    def chunk(self, index: int) -> TextChunk:
        """A piece: the text that is ready, and the tokens since the last one."""
        piece = TextChunk(index, self._ready, self._tokens, self._logprobs)
        self._ready, self._tokens, self._logprobs = "", [], []
        return piece

    def last(self, index: int, reason: FinishReason) -> TextChunk:
        """The last piece, with what was kept back; bytes of a character that never became whole are left out."""
        return TextChunk(index, self._ready + self._kept, self._tokens, self._logprobs, reason)


def _overlap(text: str, stop: str) -> int:
    """Length of the longest end of ``text`` that ``stop`` begins with."""
    for length in range(min(len(text), len(stop) - 1), 0, -1):
        if text.endswith(stop[:length]):
            return length
    return 0
