"""``aigc datasets``."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click
from rich.console import Console
from rich.table import Table

from aigc.collect.datasets import REGISTRY, find_dataset, read_datasets
from aigc.collect.download import download
from aigc.collect.unpack import unpack
from aigc_server.cli.output import print_json, progress_bar

__all__ = ["datasets_group"]

F = TypeVar("F", bound=Callable[..., Any])


def _registry(command: F) -> F:
    return click.option(
        "--registry",
        type=click.Path(path_type=Path),
        default=REGISTRY,
        show_default="the one that comes with aigc",
        help="A TOML file of your own sets or mirrors.",
    )(command)


@click.group("datasets")
def datasets_group() -> None:
    """List public data sets, download one."""


@datasets_group.command("list")
@click.option("--json", "as_json", is_flag=True, help="JSON for a program.")
@_registry
def list_command(as_json: bool, registry: Path) -> None:
    """List the sets that can be downloaded, with size and licence."""
    sets = read_datasets(registry)
    if as_json:
        fields = ("name", "title", "description", "licence", "licence_url", "bytes")
        print_json(
            [
                {field: getattr(entry, field) for field in fields} | {"files": [file.url for file in entry.files]}
                for entry in sets
            ]
        )
        return
    table = Table(box=None, header_style="bold")
    for heading in ("name", "title"):
        table.add_column(heading, no_wrap=True)
    table.add_column("size", justify="right", no_wrap=True)
    table.add_column("licence", overflow="fold")
    for entry in sets:
        table.add_row(entry.name, entry.title, _size(entry.bytes), entry.licence)
    # A pipe has no width: nothing is folded for a program.
    Console(width=None if sys.stdout.isatty() else 200, highlight=False, markup=False).print(table)


@datasets_group.command("get")
@click.argument("name")
@click.option("--to", "folder", type=click.Path(path_type=Path), metavar="DIR", help="[default: ./datasets/NAME]")
@_registry
def get_command(name: str, folder: Path | None, registry: Path) -> None:
    """Download the set NAME, verify its checksums and unpack it.

    What was cut off goes on where it ended; what is there already, and whole, is not downloaded again.
    """
    entry = find_dataset(name, registry)
    folder = folder or Path("datasets") / entry.name
    click.echo(f"{entry.title}: {entry.description}")
    click.echo(f"licence: {entry.licence}; {entry.licence_url}")
    for file in entry.files:
        target = folder / file.name
        with progress_bar(f"downloading {file.name}") as bar:
            fetched = download(file.url, target, size=file.size, digest=file.digest, progress=bar.bytes)
        click.echo(f"{'downloaded' if fetched else 'there already:'} {target}, {_size(target.stat().st_size)}")
        if target.suffix == ".zip":
            with progress_bar(f"unpacking {file.name}") as bar:
                unpacked = unpack(target, folder, progress=bar.bytes)
            click.echo(f"unpacked {len(unpacked):,} files")
    command = entry.import_command(folder)
    click.echo(f"next: {command}" if command else f"no `aigc import` reads this set; its files are in {folder}")


def _size(count: int) -> str:
    if not count:
        return "unknown"
    return f"{count / 1e6:,.1f} MB" if count >= 100_000 else f"{count / 1e3:,.1f} kB"
