"""``aigc import``."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any

import click

from aigc.collect.columns import EVENT_FIELDS, ITEM_FIELDS, parse_mapping
from aigc.collect.events_file import read_events
from aigc.collect.idx import find_idx, read_idx
from aigc.collect.image_folder import read_images
from aigc.collect.items_file import read_items
from aigc.collect.movielens import MovieLens
from aigc.collect.rejects import Rejects
from aigc.entities import Event, Item
from aigc.errors import InvalidInputError
from aigc.services.importer import ImportCount, Importer
from aigc_server.app import open_platform
from aigc_server.cli.options import home_options, settings_of
from aigc_server.cli.output import Bar, progress_bar
from aigc_server.cli.remote import RemoteBehaviour, RemoteCatalog, remote_channel

__all__ = ["import_group"]

F = Callable[..., Any]


@click.group("import")
def import_group() -> None:
    """Read items and events from files into the store.

    A row that cannot be used is left out and written, with its line and the reason, to a rejects file; importing the
    same file again changes nothing.
    """


def _shared(command: F) -> F:
    command = click.option(
        "--rejects",
        "rejects_path",
        type=click.Path(path_type=Path),
        help="Where refused rows are written.  [default: NAME.rejects.csv here]",
    )(command)
    command = click.option(
        "--server", metavar="HOST:PORT", help="Import through a running server instead of into the data directory."
    )(command)
    return home_options(command)


@import_group.command("movielens")
@click.argument("folder", type=click.Path(path_type=Path))
@_shared
def movielens(folder: Path, **options: Any) -> None:
    """Import a MovieLens FOLDER: movies.csv and ratings.csv, or movies.dat and ratings.dat."""
    found = MovieLens.find(folder)
    with _Session(folder, **options) as session:
        session.items(lambda _: found.read_items(session.rejects), "movies")
        session.events(lambda bar: found.read_events(session.rejects, bar.bytes), "ratings")


@import_group.command("items")
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--column",
    "columns",
    multiple=True,
    metavar="FIELD=COLUMN",
    help=f"Which column is which; FIELD is one of {', '.join(ITEM_FIELDS)}.",
)
@click.option("--kind", default="text", help="Kind of items whose row has none.")
@click.option("--encoding", default="utf-8", help="Of the file: utf-8, gb18030, big5 …")
@_shared
def items(file: Path, columns: tuple[str, ...], kind: str, encoding: str, **options: Any) -> None:
    """Import items from a CSV, TSV or JSONL FILE."""
    mapping = parse_mapping(columns, ITEM_FIELDS)
    with _Session(file, **options) as session:

        def read(bar: Bar) -> Iterable[Item]:
            settled, entries = read_items(
                file, session.rejects, columns=mapping, kind=kind, encoding=encoding, progress=bar.bytes
            )
            _print_mapping(settled)
            return entries

        session.items(read, "items")


@import_group.command("events")
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--column",
    "columns",
    multiple=True,
    metavar="FIELD=COLUMN",
    help=f"Which column is which; FIELD is one of {', '.join(EVENT_FIELDS)}.",
)
@click.option(
    "--type", "event_type", default="", help="Type of events whose file has no such column.  [default: rating or view]"
)
@click.option("--encoding", default="utf-8", help="Of the file: utf-8, gb18030, big5 …")
@_shared
def events(file: Path, columns: tuple[str, ...], event_type: str, encoding: str, **options: Any) -> None:
    """Import events from a CSV, TSV or JSONL FILE."""
    mapping = parse_mapping(columns, EVENT_FIELDS)
    with _Session(file, **options) as session:

        def read(bar: Bar) -> Iterable[Event]:
            settled, entries = read_events(
                file, session.rejects, columns=mapping, event_type=event_type, encoding=encoding, progress=bar.bytes
            )
            _print_mapping(settled)
            return entries

        session.events(read, "events")


@import_group.command("images")
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--limit", default=0, help="Pictures at most; 0 for all.")
@_shared
def images(path: Path, limit: int, **options: Any) -> None:
    """Import pictures from PATH: a folder (sub-folders are categories), a zip file, or IDX files such as MNIST's."""
    idx = find_idx(path) if path.exists() else []
    with _Session(path, **options) as session:
        if idx:
            for file in idx:
                session.items(partial(_idx, file, session.rejects, limit), file.name)
        else:
            session.items(lambda _: read_images(path, session.rejects, limit=limit), "pictures")


def _idx(file: Path, rejects: Rejects, limit: int, _: Bar) -> Iterable[Item]:
    return read_idx(file, rejects, limit=limit)


class _Session:
    """One import: opens where it goes, counts, and says in the end what came of it."""

    def __init__(
        self, source: Path, home: str | None, config: Path | None, server: str | None, rejects_path: Path | None
    ) -> None:
        self.rejects = Rejects(rejects_path or Path(f"{source.resolve().name}.rejects.csv"))
        self._started = time.perf_counter()
        settings, folder = settings_of(home, config)
        self._channel = remote_channel(server) if server else None
        if self._channel is not None:
            limits = settings.limits
            self._close = self._channel.close
            catalog: Any = RemoteCatalog(self._channel, limits)
            behaviour: Any = RemoteBehaviour(self._channel, settings, limits)
        else:
            platform = open_platform(settings, folder)
            self._close = platform.close
            catalog, behaviour = platform.catalog, platform.behaviour
        self._importer = Importer(catalog, behaviour, self._refuse)

    def __enter__(self) -> _Session:
        return self

    def __exit__(self, *_: object) -> None:
        self._close()
        self.rejects.close()
        if self.rejects.total:
            click.echo(f"refused {self.rejects.total:,} rows, written to {self.rejects.path}:")
            for reason, count in self.rejects.by_reason.most_common(10):
                click.echo(f"  {count:,} × {reason}")

    def items(self, read: Callable[[Bar], Iterable[Item]], name: str) -> None:
        with progress_bar(f"importing {name}") as bar:
            count = self._importer.items(read(bar))
        self._report(name, count)

    def events(self, read: Callable[[Bar], Iterable[Event]], name: str) -> None:
        with progress_bar(f"importing {name}") as bar:
            count = self._importer.events(read(bar))
        self._report(name, count)

    def _refuse(self, entry_id: str, error: InvalidInputError) -> None:
        self.rejects.add(entry_id, error.field.rpartition(".")[2], "", error.message)

    def _report(self, name: str, count: ImportCount) -> None:
        seconds = time.perf_counter() - self._started
        known = f", {count.known:,} known already" if count.known else ""
        click.echo(f"imported {count.accepted:,} {name}{known} in {seconds:.1f} s")
        self._started = time.perf_counter()


def _print_mapping(mapping: dict[str, str]) -> None:
    click.echo("columns: " + ", ".join(f"{field}={column}" for field, column in mapping.items()))
