"""``aigc prepare``."""

from __future__ import annotations

from pathlib import Path

import click

from aigc.services.preparation import Preparation
from aigc_server.app import open_platform
from aigc_server.cli.options import home_options, settings_of
from aigc_server.cli.output import progress_bar

__all__ = ["prepare_command"]

_SHOWN = 5


@click.command("prepare")
@click.option("--dry-run", is_flag=True, help="Only say what would be done.")
@click.option("--hide", is_flag=True, help="Hide near-duplicates instead of only marking them.")
@click.option("--least-chance", default=0.8, type=click.FloatRange(0, 1), help="From which a category is believed.")
@home_options
def prepare_command(dry_run: bool, hide: bool, least_chance: float, home: str | None, config: Path | None) -> None:
    """Look through the whole catalogue: mark near-duplicates, find categories for items that have none.

    A near-duplicate gets the attribute duplicate_of with the id of the first item like it; a category that was found
    comes with the attribute category_predicted. Train afterwards, so that the snapshot knows.
    """
    settings, folder = settings_of(home, config)
    platform = open_platform(settings, folder, serving=False)
    try:
        preparation = Preparation(platform.store, platform.catalog)
        with progress_bar("preparing") as bar:
            for stage, fraction in preparation.run(least_chance=least_chance, hide=hide, apply=not dry_run):
                bar.at(fraction, stage)
    finally:
        platform.close()
    report = preparation.report
    click.echo(f"looked at {report.items:,} items")
    for modality, found in report.duplicates.items():
        click.echo(f"{modality}: {len(found):,} near-duplicates")
        for item_id, original in list(found.items())[:_SHOWN]:
            click.echo(f"  {item_id} is like {original}")
    if report.categories:
        click.echo(f"categories: found for {len(report.categories):,} items that had none")
        for item_id, (name, chance) in list(report.categories.items())[:_SHOWN]:
            click.echo(f"  {item_id}: {name} ({chance:.0%})")
    if dry_run:
        click.echo("nothing was written (--dry-run)")
