"""``aigc generator recipes``, and the ``--set`` that it explains."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any, TypeVar

import click
from rich.console import Console
from rich.table import Table

from aigc.errors import InvalidInputError
from aigc.training.liked import Liked
from aigc.training.recipe import all_recipes, find_recipe, list_recipe_options
from aigc_server.cli.output import print_json

__all__ = ["catalogue_options", "liked_options", "parse_liked", "parse_set", "recipes_command", "set_option"]

F = TypeVar("F", bound=Callable[..., Any])
_BETWEEN = " · "


def set_option(command: F) -> F:
    """``--set``."""
    return click.option(
        "--set",
        "settings",
        multiple=True,
        metavar="NAME=VALUE",
        help="An option, such as trainer.steps=2000; `aigc generator recipes KIND` lists them. May be given often.",
    )(command)


def catalogue_options(command: F) -> F:
    """``--item-kind``, ``--category`` and ``--include-generated``."""
    command = click.option(
        "--include-generated", is_flag=True, help="Learn from generated items too; they are left out otherwise."
    )(command)
    command = click.option(
        "--category",
        "categories",
        multiple=True,
        help="Only items of this category. May be given often; each is then a class.",
    )(command)
    return click.option(
        "--item-kind", "item_kinds", multiple=True, help="Only items of this kind. May be given often."
    )(command)


def liked_options(command: F) -> F:
    """``--liked`` and what goes with it, and ``--from``."""
    options = (
        click.option("--from", "from_model", default="", help="Go on with a trained model: NAME, NAME@VERSION."),
        click.option("--liked", is_flag=True, help="Only items that were liked: a set to fine-tune from."),
        click.option("--liked-by", type=click.IntRange(1), help="… by so many users at least.  [default: 1]"),
        click.option("--liked-days", type=float, help="… in so many days before the newest event.  [default: all]"),
        click.option("--liked-user", "liked_users", multiple=True, help="… by this user. May be given often."),
    )
    for option in reversed(options):
        command = option(command)
    return command


def parse_liked(wanted: bool, users: int | None, days: float | None, user_ids: Sequence[str]) -> Liked | None:
    """The set that was asked for by any of the options; None for none."""
    if not (wanted or users or days is not None or user_ids):
        return None
    return Liked(users or 1, days or 0.0, tuple(user_ids))


def parse_set(settings: Sequence[str]) -> dict[str, str]:
    """Name → value.

    Raises:
        InvalidInputError: One is no NAME=VALUE.
    """
    given = {}
    for entry in settings:
        name, equals, value = entry.partition("=")
        if not equals or not name.strip():
            raise InvalidInputError(f"--set {entry!r}: give NAME=VALUE, such as trainer.steps=2000", field="set")
        given[name.strip()] = value
    return given


@click.command("recipes")
@click.argument("kind", required=False)
@click.option("--json", "as_json", is_flag=True, help="JSON for a program.")
def recipes_command(kind: str | None, as_json: bool) -> None:
    """List what can be trained; of one KIND its options with their defaults."""
    recipes = [find_recipe(kind)] if kind else all_recipes()
    if as_json:
        print_json(
            [
                {"kind": r.kind, "description": r.description, "data": r.data}
                | {"options": [asdict(o) for o in list_recipe_options(r)]}
                for r in recipes
            ]
        )
        return
    table = Table(box=None, header_style="bold", pad_edge=False)
    if kind is None:
        for heading in ("kind", "learns from", "makes"):
            table.add_column(heading, overflow="fold", no_wrap=heading == "kind")
        for recipe in recipes:
            table.add_row(recipe.kind, recipe.data, recipe.description)
    else:
        click.echo(f"{recipes[0].kind}: {recipes[0].description}\nlearns from {recipes[0].data}\n")
        table.add_column("option", no_wrap=True)
        table.add_column("default", no_wrap=True)
        table.add_column("what it does", overflow="fold")
        for option in list_recipe_options(recipes[0]):
            table.add_row(option.name, option.default or "(empty)", option.description)
    # A pipe has no width: nothing is folded for a program.
    Console(width=None if sys.stdout.isatty() else 200, highlight=False, markup=False).print(table)
    if kind is None:
        click.echo("\noptions of one: aigc generator recipes KIND")
