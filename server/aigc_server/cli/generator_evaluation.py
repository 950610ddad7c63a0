"""``aigc generator evaluate``."""

from __future__ import annotations

from pathlib import Path

import click

from aigc.generate.repository import ModelRepository
from aigc.store.sql import open_store
from aigc.training.data_source import DataChoice
from aigc_server.cli.generator_recipes import catalogue_options
from aigc_server.cli.options import home_options, settings_of

__all__ = ["evaluate_command"]


@click.command("evaluate")
@click.argument("models", nargs=-1, required=True, metavar="MODEL…")
@click.option("--data", metavar="PATH", help="Pictures in a file or folder.  [default: the catalogue]")
@catalogue_options
@home_options
def evaluate_command(
    models: tuple[str, ...],
    data: str | None,
    item_kinds: tuple[str, ...],
    categories: tuple[str, ...],
    include_generated: bool,
    home: str | None,
    config: Path | None,
) -> None:
    r"""Measure versions of a generator of pictures on the same held-out pictures, and keep the measures with them.

    \b
      aigc generator evaluate digits@1 digits@3
      aigc generator evaluate digits@champion digits@3 --data mnist/

    Every training measures the version that it made, on pictures that it did not learn from. Measure both anew when
    they were trained on different pictures: figures compare on the same ones alone, and `aigc generator promote`
    compares them. Texts and recordings need none of this: what their training measured stands with them.
    """
    tree, root = settings_of(home, config)
    choice = DataChoice(data or "", item_kinds, categories, include_generated)
    url = tree.store.url or f"sqlite:///{root / 'aigc.sqlite'}"

    # Torch takes seconds to load.
    from aigc.training.evaluation import evaluate_models

    repository = ModelRepository(root / "models")
    for info in evaluate_models(repository, models, choice, lambda: open_store(url, read_only=True)):
        click.echo(f"{info.id}  " + ", ".join(f"{name} {value:.4g}" for name, value in info.measures.items()))
