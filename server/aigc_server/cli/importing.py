"""``aigc import``."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import click

from aigc.collect.audio_folder import NamePattern, read_audio
from aigc.collect.checkpoint import ImportCheckpoint
from aigc.collect.columns import EVENT_FIELDS, ITEM_FIELDS, parse_mapping, read_mapping
from aigc.collect.events_file import EventsFile
from aigc.collect.idx import find_idx, read_idx
from aigc.collect.image_folder import read_images
from aigc.collect.items_file import ItemsFile
from aigc.collect.movielens import MovieLens
from aigc.collect.rejects import Rejects
from aigc.collect.text_file import PassagesFile
from aigc.collect.text_source import START
from aigc.entities import Event, Item
from aigc.prepare.steps import event_pipeline, item_pipeline
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

    A row that cannot be used is left out and written, with its line and the reason, to a rejects file. Importing the
    same file again changes nothing, and an import that was cut off goes on where it stopped.
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


def _table(fields: Mapping[str, object]) -> Callable[[F], F]:
    def add(command: F) -> F:
        command = click.option(
            "--column",
            "columns",
            multiple=True,
            metavar="FIELD=COLUMN",
            help=f"Which column is which; FIELD is one of {', '.join(fields)}.  [default: guessed from common names]",
        )(command)
        command = click.option(
            "--mapping", type=click.Path(path_type=Path), help="The same from the table [columns] of a TOML file."
        )(command)
        return click.option(
            "--encoding", default="auto", help="Of a text file: utf-8, gb18030, big5, utf-16 …  [default: found out]"
        )(command)

    return add


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
@_table(ITEM_FIELDS)
@click.option("--kind", default="text", help="Kind of items whose row has none.")
@_shared
def items(file: Path, columns: tuple[str, ...], mapping: Path | None, kind: str, encoding: str, **options: Any) -> None:
    """Import items from a CSV, TSV, JSONL, Parquet or TXT FILE; text may be gzipped (.gz).

    Of a TXT file each passage between blank lines becomes an item.
    """
    given = _columns(columns, mapping, ITEM_FIELDS)
    passages = file.name.lower().removesuffix(".gz").endswith(".txt")
    with _Session(file, resumable=not passages, read_as=[given, kind, encoding], **options) as session:

        def read(bar: Bar) -> Iterable[Item]:
            source: ItemsFile | PassagesFile
            if passages:
                source = PassagesFile(file, session.rejects, kind=kind, encoding=encoding, progress=bar.bytes)
            else:
                source = ItemsFile(
                    file,
                    session.rejects,
                    columns=given,
                    kind=kind,
                    encoding=encoding,
                    progress=bar.bytes,
                    start=session.start,
                )
            _print_reading(source)
            return source

        session.items(read, "items")


@import_group.command("events")
@click.argument("file", type=click.Path(path_type=Path))
@_table(EVENT_FIELDS)
@click.option(
    "--type", "event_type", default="", help="Type of events whose file has no such column.  [default: rating or view]"
)
@_shared
def events(
    file: Path, columns: tuple[str, ...], mapping: Path | None, event_type: str, encoding: str, **options: Any
) -> None:
    """Import events from a CSV, TSV, JSONL or Parquet FILE; text may be gzipped (.gz)."""
    given = _columns(columns, mapping, EVENT_FIELDS)
    with _Session(file, resumable=True, read_as=[given, event_type, encoding], **options) as session:

        def read(bar: Bar) -> Iterable[Event]:
            source = EventsFile(
                file,
                session.rejects,
                columns=given,
                event_type=event_type,
                encoding=encoding,
                progress=bar.bytes,
                start=session.start,
            )
            _print_reading(source)
            return source

        session.events(read, "events")


@import_group.command("images")
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--limit", default=0, help="Pictures at most; 0 for all.")
@click.option("--id-prefix", default="", help="Put before each id, so that two sets of pictures stay apart.")
@_shared
def images(path: Path, limit: int, id_prefix: str, **options: Any) -> None:
    """Import pictures from PATH: a folder (sub-folders are categories), a zip file, or IDX files such as MNIST's."""
    idx = find_idx(path) if path.exists() else []
    with _Session(path, **options) as session:
        if idx:
            for file in idx:
                session.items(partial(_idx, file, session.rejects, limit, id_prefix), file.name)
        else:
            session.items(lambda _: _prefixed(read_images(path, session.rejects, limit=limit), id_prefix), "pictures")


@import_group.command("audio")
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--limit", default=0, help="Recordings at most; 0 for all.")
@click.option(
    "--name-pattern",
    metavar="PATTERN",
    help="What the parts of a file's name mean, such as '{category}_{author}_{}' for 7_theo_12.wav; "
    "fields: category, author, tag, title, language.",
)
@_shared
def audio(path: Path, limit: int, name_pattern: str | None, **options: Any) -> None:
    """Import recordings (wav, flac, ogg, mp3) from PATH: a folder (sub-folders are categories) or a zip file."""
    pattern = NamePattern(name_pattern) if name_pattern else None
    with _Session(path, **options) as session:
        session.items(lambda _: read_audio(path, session.rejects, pattern=pattern, limit=limit), "recordings")


def _idx(file: Path, rejects: Rejects, limit: int, prefix: str, _: Bar) -> Iterable[Item]:
    return _prefixed(read_idx(file, rejects, limit=limit), prefix)


def _prefixed(items: Iterable[Item], prefix: str) -> Iterable[Item]:
    return (replace(item, id=f"{prefix}{item.id}") for item in items) if prefix else items


class _Session:
    """One import: opens where it goes, counts, and says in the end what came of it."""

    def __init__(
        self,
        source: Path,
        home: str | None,
        config: Path | None,
        server: str | None,
        rejects_path: Path | None,
        *,
        resumable: bool = False,
        read_as: list[object] | None = None,
    ) -> None:
        self._started = time.perf_counter()
        self._stack = ExitStack()
        settings, folder = settings_of(home, config)
        if server:
            channel = self._stack.enter_context(remote_channel(server))
            catalog: Any = RemoteCatalog(channel, settings.limits)
            behaviour: Any = RemoteBehaviour(channel, settings, settings.limits)
        else:
            platform = open_platform(settings, folder, serving=False)
            self._stack.callback(platform.close)
            catalog, behaviour = platform.catalog, platform.behaviour
        checkpoint = None
        if resumable and source.is_file():
            checkpoint = ImportCheckpoint(folder / "imports", source, {"to": server or "", "as": read_as})
            if checkpoint.resumes:
                click.echo(f"an import of this file was cut off; going on after line {checkpoint.position.line:,}")
        self.start = checkpoint.position if checkpoint else START
        self.rejects = Rejects(rejects_path or Path(f"{source.resolve().name}.rejects.csv"), resume_at=self.start.line)
        self._pipeline = item_pipeline(settings.prepare)
        self._event_pipeline = event_pipeline(settings.prepare)
        self._importer = Importer(
            catalog,
            behaviour,
            self.rejects,
            pipeline=self._pipeline,
            event_pipeline=self._event_pipeline,
            checkpoint=checkpoint,
        )

    def __enter__(self) -> _Session:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()
        self.rejects.close()
        for line in [*self._pipeline.report.lines(), *self._event_pipeline.lines()]:
            click.echo(f"prepared  {line}")
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

    def _report(self, name: str, count: ImportCount) -> None:
        seconds = time.perf_counter() - self._started
        known = f", {count.known:,} known already" if count.known else ""
        click.echo(f"imported {count.accepted:,} {name}{known} in {seconds:.1f} s")
        self._started = time.perf_counter()


def _columns(flags: tuple[str, ...], file: Path | None, fields: Mapping[str, Any]) -> dict[str, str]:
    return (read_mapping(file, fields) if file is not None else {}) | parse_mapping(flags, fields)


def _print_reading(source: ItemsFile | EventsFile | PassagesFile) -> None:
    click.echo("columns: " + ", ".join(f"{field}={column}" for field, column in source.mapping.items()))
    if source.encoding not in ("", "utf-8", "utf-8-sig"):
        click.echo(f"encoding: {source.encoding}")
