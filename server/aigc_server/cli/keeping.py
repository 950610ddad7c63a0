"""``aigc backup`` and ``restore``."""

from __future__ import annotations

from pathlib import Path

import click

from aigc.store.backup import backup, restore
from aigc.store.sql import open_store
from aigc_server.cli.options import home_options, settings_of
from aigc_server.cli.output import progress_bar

__all__ = ["backup_command", "restore_command"]


@click.command("backup")
@click.argument("folder", type=click.Path(path_type=Path))
@home_options
def backup_command(folder: Path, home: str | None, config: Path | None) -> None:
    """Copy the whole store into FOLDER, as files that either database can be restored from. Runs beside a server."""
    settings, data = settings_of(home, config)
    store = open_store(settings.store.url or f"sqlite:///{data / 'aigc.sqlite'}", read_only=True)
    try:
        with progress_bar("copying") as bar:
            counts = backup(store, folder, bar.at)
    finally:
        store.close()
    click.echo(f"copied {', '.join(f'{n:,} {table}' for table, n in counts.items())} to {folder}")


@click.command("restore")
@click.argument("folder", type=click.Path(path_type=Path))
@home_options
def restore_command(folder: Path, home: str | None, config: Path | None) -> None:
    """Fill an empty store from the FOLDER that a backup wrote."""
    settings, data = settings_of(home, config)
    store = open_store(settings.store.url or f"sqlite:///{data / 'aigc.sqlite'}")
    try:
        with progress_bar("restoring") as bar:
            counts = restore(folder, store, bar.at)
    finally:
        store.close()
    click.echo(f"restored {', '.join(f'{n:,} {table}' for table, n in counts.items())}; now run `aigc train`")
