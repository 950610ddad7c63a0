"""Dividing data into what is learned from and what is held out, and naming its classes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from aigc.entities import Item
from aigc.errors import InvalidInputError

__all__ = ["class_labels", "divide", "refuse_few", "sorted_names"]

LEAST = 10
_MOST_HELD_OUT = 10_000


def divide(
    count: int, held_out: float, limit: int, seed: int, *, least: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows to learn from and rows held out, each rising; a random choice that the seed settles."""
    order = np.random.default_rng(seed).permutation(count)[: limit or count]
    held = min(max(least, round(held_out * len(order))), _MOST_HELD_OUT, len(order) - 1)
    return np.sort(order[held:]), np.sort(order[:held])


def class_labels(items: Sequence[Item], wanted: Sequence[str]) -> tuple[NDArray[np.int64], tuple[str, ...], list[str]]:
    """(n,) rows of the class names, the names, and notes.

    An item's class is the first of its categories, or the first that was asked for. There are no classes when an item
    has none, when all are in one, or when they are so many that there is little to learn of each.
    """
    chosen = [next((c for c in i.categories if not wanted or c in wanted), "") for i in items]
    lacking = sum(not c for c in chosen)
    if lacking:
        notes = [f"no classes are learned: {lacking:,} items have no category"] if lacking < len(items) else []
        return np.empty(0, np.int64), (), notes
    names = sorted_names(set(chosen))
    if len(names) < 2 or 2 * len(names) > len(items):
        return np.empty(0, np.int64), (), [f"no classes are learned: {len(names)} categories in {len(items)} items"]
    rows = {name: row for row, name in enumerate(names)}
    return np.array([rows[c] for c in chosen], np.int64), names, []


def sorted_names(names: set[str]) -> tuple[str, ...]:
    """Numbers by size, then the rest by name."""
    return tuple(sorted(names, key=lambda n: (0, int(n), n) if n.isascii() and n.isdigit() else (1, 0, n)))


def refuse_few(count: int, what: str, where: str, remedy: str, least: int = LEAST) -> None:
    """Raise InvalidInputError unless there is enough to learn from."""
    if count >= least:
        return
    found = f"{where} has no {what}" if not count else f"{where} has only {count} {what}, and {least} are the least"
    raise InvalidInputError(f"{found}; {remedy}", field="data", reason="TOO_LITTLE_DATA")
