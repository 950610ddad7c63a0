"""Text ↔ tokens: byte-level BPE or single characters, kept as a ``tokenizer.json`` that Hugging Face reads too."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

from aigc.errors import CorruptDataError, InvalidInputError

__all__ = ["ASSISTANT", "END", "MASK", "PAD", "USER", "TextTokenizer", "Tokens", "byte_letters"]

END = "<|end|>"
USER = "<|user|>"
ASSISTANT = "<|assistant|>"
MASK = "<|mask|>"
PAD = "<|pad|>"
_SPECIAL = (END, USER, ASSISTANT, MASK, PAD)
_FILE = "tokenizer.json"
# Han characters stand alone, so that a token is at most one of them: verse counts characters, a stop sequence or a
# constraint never ends within a token, and a small corpus has too few Chinese words to learn their pieces. Everything
# else is cut as by GPT-2's published pattern (Radford et al. 2019), with digits in groups of three at most.
_WORDS = (
    r"'(?:[sdmt]|ll|ve|re)|[\u3400-\u9fff\uf900-\ufaff]| ?[^\s\d\p{P}\p{S}\u3400-\u9fff\uf900-\ufaff]+| ?\d{1,3}"
    r"| ?[\p{P}\p{S}]+|\s+(?!\S)|\s+"
)


class Tokens(Protocol):
    """What decoding asks of a tokenizer; see :class:`TextTokenizer` for each."""

    end: int

    def __len__(self) -> int: ...

    @property
    def special(self) -> tuple[int, ...]:
        """The tokens that are no text."""
        ...

    @property
    def pieces(self) -> Sequence[bytes]:
        """The bytes of each token, in order."""
        ...

    def encode(self, text: str) -> list[int]:
        """Tokens of plain text."""
        ...

    def chat(self, turns: Sequence[str]) -> list[int]:
        """Tokens of a dialogue, up to where the assistant answers."""
        ...


class TextTokenizer:
    """Encodes and decodes; special tokens come from :meth:`chat` alone, never out of a caller's text."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._bytes = isinstance(tokenizer.decoder, decoders.ByteLevel)
        # "<|end|>" written by a caller is text, not the mark.
        tokenizer.encode_special_tokens = True
        self.end, self.user, self.assistant, self.mask, self.pad = (self._special(name) for name in _SPECIAL)

    @classmethod
    def train(cls, documents: Iterable[str], vocabulary_size: int = 8192) -> TextTokenizer:
        """Byte-level BPE (Sennrich et al. 2016; over bytes, Radford et al. 2019): any text has tokens, none is unknown.

        Raises:
            InvalidInputError: ``vocabulary_size`` leaves no room beside the 256 bytes and the special tokens.
        """
        smallest = 256 + len(_SPECIAL)
        if vocabulary_size < smallest:
            raise InvalidInputError(
                f"vocabulary_size is {vocabulary_size}; give at least {smallest}: the bytes and the special tokens",
                field="vocabulary_size",
            )
        tokenizer = Tokenizer(models.BPE())
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
            [
                pre_tokenizers.Split(Regex(_WORDS), "isolated"),
                pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
            ]
        )
        tokenizer.decoder = decoders.ByteLevel()
        trainer = trainers.BpeTrainer(
            vocab_size=vocabulary_size,
            special_tokens=[AddedToken(name, special=True, normalized=False) for name in _SPECIAL],
            initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
            show_progress=False,
        )
        tokenizer.train_from_iterator(documents, trainer)
        return cls(tokenizer)

    @classmethod
    def characters(cls, documents: Iterable[str]) -> TextTokenizer:
        """A token a character that occurs, in the order of Unicode, as nanoGPT's character-level models have it."""
        letters = sorted(set().union(*map(set, documents)))
        vocabulary = {piece: i for i, piece in enumerate([*_SPECIAL, *letters])}
        tokenizer = Tokenizer(models.WordLevel(vocabulary))
        tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(r"[\s\S]"), "isolated")
        tokenizer.decoder = decoders.Fuse()
        tokenizer.add_special_tokens([AddedToken(name, special=True, normalized=False) for name in _SPECIAL])
        return cls(tokenizer)

    def __len__(self) -> int:
        """Number of tokens, special ones included."""
        return int(self._tokenizer.get_vocab_size())

    @property
    def special(self) -> tuple[int, ...]:
        """The tokens that are no text."""
        return (self.end, self.user, self.assistant, self.mask, self.pad)

    def encode(self, text: str) -> list[int]:
        """Tokens of plain text, without special ones.

        Raises:
            InvalidInputError: A character-level tokenizer does not know a character.
        """
        return self.encode_many([text])[0]

    def encode_many(self, texts: Sequence[str]) -> list[list[int]]:
        """:meth:`encode` of each, on several threads."""
        # Half a surrogate pair has no UTF-8.
        clean = [text.encode("utf-8", "replace").decode("utf-8") for text in texts]
        try:
            return [encoding.ids for encoding in self._tokenizer.encode_batch_fast(clean, add_special_tokens=False)]
        except Exception as error:
            strange = sorted({c for text in clean for c in text if self._tokenizer.token_to_id(c) is None})
            raise InvalidInputError(
                f"the text has characters that the model never saw: {''.join(strange[:10])!r}; leave them out",
                field="prompt",
                reason="UNKNOWN_CHARACTER",
            ) from error

    def chat(self, turns: Sequence[str]) -> list[int]:
        """Tokens of a dialogue, its first turn the user's, with the mark after which the assistant answers."""
        tokens: list[int] = []
        for i, turn in enumerate(self.encode_many(turns)):
            tokens += [self.assistant if i % 2 else self.user, *turn, *([self.end] if i % 2 else [])]
        return [*tokens, self.assistant]

    def decode(self, tokens: Sequence[int]) -> str:
        """Text of tokens; special ones are left out, bytes that are no UTF-8 become U+FFFD."""
        return b"".join(self.pieces[token] for token in tokens).decode("utf-8", "replace")

    @cached_property
    def pieces(self) -> list[bytes]:
        """The bytes of each token, in order; special tokens have none."""
        found = [b""] * len(self)
        letters = dict(byte_letters())
        for piece, token in self._tokenizer.get_vocab().items():
            if token not in self.special:
                found[token] = bytes(letters[c] for c in piece) if self._bytes else piece.encode()
        return found

    @property
    def backend(self) -> Any:
        """The ``tokenizers.Tokenizer`` itself, for libraries that take one."""
        return self._tokenizer

    def save(self, folder: Path) -> None:
        """Write ``tokenizer.json``."""
        self._tokenizer.save(str(folder / _FILE))

    @classmethod
    def load(cls, folder: Path) -> TextTokenizer:
        """What :meth:`save` wrote.

        Raises:
            CorruptDataError: The file is missing, broken, or lacks the special tokens.
        """
        path = folder / _FILE
        try:
            return cls(Tokenizer.from_file(str(path)))
        except Exception as error:
            raise CorruptDataError(
                f"{path} is no tokenizer of this product ({error}); train the model again"
            ) from error

    def _special(self, name: str) -> int:
        token = self._tokenizer.token_to_id(name)
        if token is None:
            raise CorruptDataError(f"the tokenizer has no token {name}; train it again")
        return int(token)


def byte_letters() -> Iterator[tuple[str, int]]:
    """The printable character that stands for each byte in a byte-level vocabulary (Radford et al. 2019)."""
    extra = 0
    for byte in range(256):
        if 33 <= byte <= 126 or 161 <= byte <= 172 or 174 <= byte <= 255:
            yield chr(byte), byte
        else:
            yield chr(256 + extra), byte
            extra += 1
