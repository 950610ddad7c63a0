"""How results look: tables for a person, JSON for a program."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from aigc.entities import RecommendedItem

__all__ = ["Bar", "item_fields", "print_items", "print_json", "progress_bar"]


class Bar:
    """A progress bar on standard error; silent when that is no terminal."""

    def __init__(self, progress: Progress, text: str) -> None:
        """Args: text: what is being done."""
        self._progress = progress
        self._task = progress.add_task(text, total=1.0)

    def at(self, fraction: float, text: str = "") -> None:
        """Move to ``fraction`` of the whole, with another text if given."""
        if text:
            self._progress.update(self._task, completed=fraction, description=text)
        else:
            self._progress.update(self._task, completed=fraction)

    def bytes(self, done: int, total: int) -> None:
        """Move to ``done`` of ``total``."""
        self.at(done / total if total else 1.0)


@contextmanager
def progress_bar(text: str) -> Iterator[Bar]:
    """A bar for the length of a block."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True, disable=not sys.stderr.isatty()) as progress:
        yield Bar(progress, text)


def print_json(value: object) -> None:
    """One JSON document on standard output."""
    click.echo(json.dumps(value, ensure_ascii=False, indent=2))


def item_fields(item: RecommendedItem) -> dict[str, Any]:
    """An item for JSON, in the spelling of the API."""
    fields: dict[str, Any] = {
        "item_id": item.item_id,
        "title": item.title,
        "kind": item.kind,
        "score": round(item.score, 6),
    }
    if item.generated:
        fields["generated"] = True
    if item.shares:
        fields["reasons"] = {
            "sources": [{"source": s.source, "share": round(s.share, 4)} for s in item.shares],
            "neighbours": [
                {"id": n.id, "title": n.title, "kind": n.kind, "share": round(n.share, 4)} for n in item.neighbours
            ],
        }
    return fields


def print_items(items: Sequence[RecommendedItem]) -> None:
    """A table; the reasons in words when there are any."""
    explained = any(item.shares for item in items)
    table = Table(box=None, header_style="bold")
    table.add_column("#", justify="right")
    table.add_column("score", justify="right")
    table.add_column("id")
    table.add_column("title", overflow="fold")
    if explained:
        table.add_column("because", overflow="fold")
    for place, item in enumerate(items, 1):
        cells = [str(place), f"{item.score:.3f}", item.item_id, item.title + (" [generated]" if item.generated else "")]
        if explained:
            cells.append(_because(item))
        table.add_row(*cells)
    # A pipe has no width: titles are not folded for a program.
    Console(width=None if sys.stdout.isatty() else 200, highlight=False, markup=False).print(table)


def _because(item: RecommendedItem) -> str:
    sources = ", ".join(f"{s.source} {s.share:.0%}" for s in item.shares)
    liked = [n.title or n.id for n in item.neighbours if n.kind == "item"]
    return sources + (f"; you liked {' · '.join(liked)}" if liked else "")
