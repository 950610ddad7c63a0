"""Pages of a short list."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from aigc.errors import InvalidInputError

__all__ = ["one_page"]

T = TypeVar("T")
_DEFAULT, _MOST = 100, 1000


def one_page(entries: Sequence[T], key: Callable[[T], str], page_size: int, page_token: str) -> tuple[list[T], str]:
    """The entries after ``page_token`` (the key of the last one given) in the order of keys, and the next token.

    Raises:
        InvalidInputError: ``page_size`` is negative.
    """
    if page_size < 0:
        raise InvalidInputError(f"page_size is {page_size}; give 0 or more", field="page_size")
    size = min(page_size or _DEFAULT, _MOST)
    rest = [entry for entry in sorted(entries, key=key) if key(entry) > page_token]
    return rest[:size], key(rest[size - 1]) if len(rest) > size else ""
