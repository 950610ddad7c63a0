"""``aigc generator list``, ``show``, ``alias`` and ``delete``."""

from __future__ import annotations

import json
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from aigc.generate.repository import ModelInfo, ModelRepository
from aigc_server.cli.options import home_options, settings_of
from aigc_server.cli.output import print_json

__all__ = ["alias_command", "delete_command", "list_command", "repository_of", "show_command"]

_SHOWN = 3


def repository_of(home: str | None, config: Path | None) -> ModelRepository:
    """The models of the data directory."""
    return ModelRepository(settings_of(home, config)[1] / "models")


@click.command("list")
@click.option("--json", "as_json", is_flag=True, help="JSON for a program.")
@home_options
def list_command(as_json: bool, home: str | None, config: Path | None) -> None:
    """List the trained models, every version."""
    models = repository_of(home, config).models()
    if as_json:
        print_json([_fields(m) for m in models])
        return
    if not models:
        click.echo("no model yet; train one: aigc generator train --help")
        return
    table = Table(box=None, header_style="bold", pad_edge=False)
    for heading in ("model", "kind", "aliases", "trained", "size", "measures"):
        table.add_column(heading, no_wrap=heading != "measures", overflow="fold")
    for m in models:
        measures = ", ".join(f"{k} {v:.4g}" for k, v in list(m.measures.items())[:_SHOWN])
        table.add_row(m.id, m.kind, ", ".join(m.aliases), _date(m), f"{m.bytes / 1e6:.1f} MB", measures)
    # A pipe has no width: nothing is folded for a program.
    Console(width=None if sys.stdout.isatty() else 200, highlight=False, markup=False).print(table)


@click.command("show")
@click.argument("model")
@click.option("--json", "as_json", is_flag=True, help="JSON for a program.")
@home_options
def show_command(model: str, as_json: bool, home: str | None, config: Path | None) -> None:
    """Show what MODEL is, what it learned from, and what it measured. MODEL is NAME, NAME@VERSION or NAME@ALIAS."""
    repository = repository_of(home, config)
    info = repository.get(model)
    if as_json:
        print_json(_fields(info))
        return
    click.echo(f"{info.id}  {info.kind}, trained {_date(info)}, {info.bytes / 1e6:.1f} MB")
    click.echo(f"aliases   {', '.join(info.aliases) or 'none'}")
    click.echo(f"folder    {repository.folder(info)}")
    for title, values in (
        ("is", info.details),
        ("measured", info.measures),
        ("data", info.data),
        ("options", info.options),
    ):
        for name, value in values.items():
            text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
            click.echo(f"{title:<9} {name} = {text}")


@click.command("alias")
@click.argument("model")
@click.argument("alias")
@click.option("--delete", is_flag=True, help="Let ALIAS mean nothing.")
@home_options
def alias_command(model: str, alias: str, delete: bool, home: str | None, config: Path | None) -> None:
    r"""Let ALIAS mean this version of a model: NAME@VERSION ALIAS.

    \b
      aigc generator alias digits@3 champion

    NAME alone means its champion, and the first version is that until another one is.
    """
    repository = repository_of(home, config)
    if delete:
        name = model.partition("@")[0]
        repository.delete_alias(name, alias)
        click.echo(f"{name}@{alias} means nothing")
    else:
        click.echo(f"{model.partition('@')[0]}@{alias} is {repository.set_alias(model, alias).id}")


@click.command("delete")
@click.argument("model")
@home_options
def delete_command(model: str, home: str | None, config: Path | None) -> None:
    """Remove MODEL, given as NAME@VERSION. One that has an alias is not removed."""
    info = repository_of(home, config).delete(model)
    click.echo(f"removed {info.id}")


def _fields(info: ModelInfo) -> dict[str, Any]:
    return {"id": info.id, **asdict(info)}


def _date(info: ModelInfo) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(info.created_ms / 1000))
