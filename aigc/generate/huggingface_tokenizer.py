"""A Hugging Face tokenizer with the face of ours."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from aigc.errors import CorruptDataError
from aigc.generate.tokenizer import byte_letters

__all__ = ["HuggingFaceTokenizer"]

_BYTE = re.compile(r"<0x([0-9A-Fa-f]{2})>")


class HuggingFaceTokenizer:
    """See :class:`aigc.generate.tokenizer.Tokens`."""

    def __init__(self, tokenizer: Any, folder: Path) -> None:
        """Args: tokenizer: a fast one of transformers; folder: named in errors.

        Raises:
            CorruptDataError: It is a slow one.
        """
        if not getattr(tokenizer, "is_fast", False):
            raise CorruptDataError(
                f"{folder} has no tokenizer.json; save its tokenizer as a fast one", reason="MODEL_CORRUPT"
            )
        self._tokenizer = tokenizer
        whole = tokenizer.backend_tokenizer.to_str()
        self._form = json.loads(whole)
        # One that takes "<|end|>" for the mark, and one, for what callers write, that does not.
        self._with_special = Tokenizer.from_str(whole)
        tokenizer.backend_tokenizer.encode_special_tokens = True
        special = set(tokenizer.all_special_ids)
        special |= {int(token["id"]) for token in self._form.get("added_tokens", []) if token.get("special")}
        self.special = tuple(sorted(special))
        end = tokenizer.eos_token_id if tokenizer.eos_token_id is not None else tokenizer.sep_token_id
        self.end = int(end) if end is not None else len(self) - 1

    def __len__(self) -> int:
        """Number of tokens, special ones included."""
        return len(self._tokenizer)

    @property
    def has_dialogue(self) -> bool:
        """Whether the model has a form for dialogues."""
        return bool(self._tokenizer.chat_template)

    def encode(self, text: str) -> list[int]:
        """Tokens of plain text, without special ones."""
        return list(self._tokenizer.backend_tokenizer.encode(_clean(text), add_special_tokens=False).ids)

    def encode_whole(self, text: str) -> list[int]:
        """Tokens with the special ones that the model puts around a text."""
        return list(self._tokenizer.backend_tokenizer.encode(_clean(text), add_special_tokens=True).ids)

    def chat(self, turns: Sequence[str]) -> list[int]:
        """Tokens of a dialogue in the model's own form (its template runs in transformers' sandbox)."""
        roles = [{"role": "assistant" if i % 2 else "user", "content": _clean(turn)} for i, turn in enumerate(turns)]
        if not self.has_dialogue:
            return self.encode("\n".join(turns) + "\n")
        # The template writes special tokens as text; those that a caller writes are taken apart first.
        for role in roles:
            role["content"] = self._without_special(role["content"])
        told = self._tokenizer.apply_chat_template(roles, add_generation_prompt=True, tokenize=False)
        return list(self._with_special.encode(told, add_special_tokens=False).ids)

    @cached_property
    def pieces(self) -> list[bytes]:
        """The bytes of each token; special tokens have none."""
        found = [b""] * len(self)
        letters = dict(byte_letters())
        decoder = json.dumps(self._form.get("decoder"))
        of_bytes = "ByteLevel" in decoder
        for piece, token in self._tokenizer.get_vocab().items():
            if token in self.special or token >= len(found):
                continue
            if of_bytes and all(c in letters for c in piece):
                found[token] = bytes(letters[c] for c in piece)
            elif match := _BYTE.fullmatch(piece):
                found[token] = bytes([int(match[1], 16)])
            else:
                found[token] = piece.replace("▁", " ").encode()
        return found

    def decode(self, tokens: Sequence[int]) -> str:
        """Text of tokens; special ones are left out, bytes that are no UTF-8 become U+FFFD."""
        return b"".join(self.pieces[token] for token in tokens).decode("utf-8", "replace")

    def _without_special(self, text: str) -> str:
        for token in self._tokenizer.convert_ids_to_tokens(list(self.special)):
            text = text.replace(token, " ".join(token))
        return text


def _clean(text: str) -> str:
    return text.encode("utf-8", "replace").decode("utf-8")
