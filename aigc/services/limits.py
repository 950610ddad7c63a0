"""How much a caller may ask for at once, and what an identifier may look like."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from aigc.errors import InvalidInputError

__all__ = ["Limits"]


@dataclass(frozen=True, slots=True)
class Limits:
    """The ``[limits]`` settings.

    Attributes:
        n: Items in one answer.
        batch: Users, items or events in one call.
        ids: Entries in one allow list, deny list or filter.
        id_bytes: Length of an identifier in UTF-8.
        text_bytes: Length of an item's text, or of what a user wrote, in UTF-8.
        content_bytes: Size of an item's picture or sound.
    """

    n: int = 1000
    batch: int = 1000
    ids: int = 10_000
    id_bytes: int = 256
    text_bytes: int = 1_000_000
    content_bytes: int = 16_000_000

    def check_id(self, value: str, field: str) -> None:
        """Raise InvalidInputError unless ``value`` is a non-empty, printable identifier."""
        if not value:
            raise InvalidInputError(f"{field} is empty; give an identifier", field=field)
        if len(value) <= self.id_bytes and value.isascii() and value.isprintable():
            return
        size = len(value.encode("utf-8", "surrogatepass"))
        if size > self.id_bytes:
            raise InvalidInputError(
                f"{field} has {size} bytes ({value[:40]!r}…); at most {self.id_bytes} are allowed", field=field
            )
        if any(unicodedata.category(c) in ("Cc", "Cs") for c in value):
            raise InvalidInputError(
                f"{field} is {value[:40]!r}, with a control character or a lone surrogate; give printable text",
                field=field,
            )

    def check_n(self, n: int, field: str = "n") -> None:
        """Raise InvalidInputError unless 1 ≤ n ≤ the limit."""
        if not 1 <= n <= self.n:
            raise InvalidInputError(f"{field} is {n}; give a number from 1 to {self.n}", field=field)

    def check_count(self, values: Collection[object], field: str, limit: int = 0) -> None:
        """Raise InvalidInputError when there are more values than one call may hold."""
        limit = limit or self.batch
        if len(values) > limit:
            raise InvalidInputError(
                f"{field} has {len(values)} entries; at most {limit} are allowed, so send several calls", field=field
            )

    def check_text(self, value: str, field: str) -> None:
        """Raise InvalidInputError when a text is too long, or no text."""
        if not value:
            return
        size = len(value.encode("utf-8", "surrogatepass"))
        if size > self.text_bytes:
            raise InvalidInputError(f"{field} has {size} bytes; at most {self.text_bytes} are allowed", field=field)
        if "\0" in value or any("\ud800" <= c <= "\udfff" for c in value):
            raise InvalidInputError(f"{field} holds a NUL character or a lone surrogate; remove it", field=field)

    def check_names(self, values: Sequence[str], field: str) -> None:
        """Raise InvalidInputError unless each of a list of names is an identifier."""
        self.check_count(values, field, self.ids)
        for i, value in enumerate(values):
            self.check_id(value, f"{field}[{i}]")

    @staticmethod
    def check_share(value: float, field: str) -> None:
        """Raise InvalidInputError unless 0 ≤ value ≤ 1."""
        if not (math.isfinite(value) and 0 <= value <= 1):
            raise InvalidInputError(f"{field} is {value}; give a number from 0 to 1", field=field)
