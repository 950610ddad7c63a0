"""``aigc recommend``, ``similar``, ``search``, ``profile``: the server's answers in the terminal."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from aigc.entities import Profile
from aigc.recommend.request import RecommendRequest, SearchRequest
from aigc_server.cli.options import home_options, opened
from aigc_server.cli.output import item_fields, print_items, print_json

__all__ = ["profile_command", "recommend_command", "search_command", "similar_command"]


@click.command("recommend")
@click.option("--user", required=True, metavar="ID", help="For whom; an unknown id is a stranger.")
@click.option("--n", default=10, help="Items wanted.")
@click.option(
    "--strategy",
    default="",
    show_default=False,
    help="A recipe by name; `aigc status` lists them.  [default: the experiment's, or 'default']",
)
@click.option("--category", "categories", multiple=True, help="Only items of this category; repeatable.")
@click.option("--kind", "kinds", multiple=True, help="Only items of this kind; repeatable.")
@click.option("--context", default="", show_default=False, metavar="ITEM", help="The item looked at now.")
@click.option("--include-seen", is_flag=True, help="Let in what the user has acted on.")
@click.option("--diversity", type=float, help="0 to 1.  [default: the strategy's]")
@click.option("--explain", is_flag=True, help="Say why, for each item.")
@click.option("--json", "as_json", is_flag=True, help="JSON for a program.")
@home_options
def recommend_command(
    user: str,
    n: int,
    strategy: str,
    categories: tuple[str, ...],
    kinds: tuple[str, ...],
    context: str,
    include_seen: bool,
    diversity: float | None,
    explain: bool,
    as_json: bool,
    home: str | None,
    config: Path | None,
) -> None:
    """Recommend items for a user. Runs beside a serving process and gives the same answer."""
    request = RecommendRequest(
        user_id=user,
        n=n,
        strategy=strategy,
        categories=categories,
        kinds=kinds,
        context_item=context,
        exclude_seen=not include_seen,
        diversity=diversity,
        explain=explain,
    )
    with opened(home, config, read_only=True) as platform:
        answer = platform.recommender.recommend(request)
    if as_json:
        print_json(
            {
                "user_id": user,
                "items": [item_fields(i) for i in answer.items],
                "recommendation_id": answer.id,
                "strategy": answer.strategy,
                "experiment": answer.experiment,
                "snapshot_id": answer.snapshot,
                "model_versions": dict(answer.models),
            }
        )
        return
    print_items(answer.items)
    if not answer.items:
        click.echo("no item passes; import some, or ask with fewer filters")


@click.command("similar")
@click.argument("item")
@click.option("--n", default=10, help="Items wanted.")
@click.option("--users", is_flag=True, help="ITEM is a user's id: find similar users instead.")
@click.option("--json", "as_json", is_flag=True, help="JSON for a program.")
@home_options
def similar_command(item: str, n: int, users: bool, as_json: bool, home: str | None, config: Path | None) -> None:
    """Find what is near an ITEM, by content and by what the same users liked."""
    with opened(home, config, read_only=True) as platform:
        if users:
            found = platform.recommender.similar_users(item, n)
            if as_json:
                print_json([{"user_id": u, "similarity": round(s, 6)} for u, s in found])
            else:
                click.echo("\n".join(f"{s:.3f}  {u}" for u, s in found) or "no similar user")
            return
        near = platform.recommender.similar_items(item, n)
    if as_json:
        print_json([item_fields(i) for i in near])
    else:
        print_items(near)


@click.command("search")
@click.argument("text")
@click.option("--n", default=10, help="Items wanted.")
@click.option("--category", "categories", multiple=True, help="Only items of this category; repeatable.")
@click.option("--json", "as_json", is_flag=True, help="JSON for a program.")
@home_options
def search_command(
    text: str, n: int, categories: tuple[str, ...], as_json: bool, home: str | None, config: Path | None
) -> None:
    """Find items by words in any language."""
    with opened(home, config, read_only=True) as platform:
        found = platform.recommender.search(SearchRequest(n=n, text=text, categories=categories))
    if as_json:
        print_json([item_fields(i) for i in found])
    else:
        print_items(found)


@click.command("profile")
@click.option("--user", required=True, metavar="ID", help="Whose profile.")
@click.option("--language", type=click.Choice(["en", "zh"]), default="en", help="Of the sentences.")
@click.option("--json", "as_json", is_flag=True, help="JSON for a program.")
@home_options
def profile_command(user: str, language: str, as_json: bool, home: str | None, config: Path | None) -> None:
    """Say in words what a user's behaviour, comments and declarations tell of them, and what each word rests on."""
    with opened(home, config, read_only=True) as platform:
        profile = platform.profiles.get(user)
        named = list(dict.fromkeys(i for s in profile.statements for i in s.item_ids))
        titles = {i.id: i.title for i in platform.store.get_items(named).values()} if named else {}
    if as_json:
        fields: dict[str, Any] = asdict(profile)
        print_json(fields)
        return
    _print_profile(profile, titles, chinese=language == "zh")


def _print_profile(profile: Profile, titles: dict[str, str], *, chinese: bool) -> None:
    click.echo(f"{profile.user_id}: {profile.event_count:,} events")
    for statement in profile.statements:
        rests = f"{statement.events:,} events" + "".join(f" · {titles[i]}" for i in statement.item_ids if i in titles)
        click.echo(f"  {statement.chinese if chinese else statement.english}")
        if statement.events:
            click.echo(f"      {rests}")
    table = Table(box=None, header_style="bold")
    table.add_column("category")
    table.add_column("share", justify="right")
    table.add_column("events", justify="right")
    for affinity in profile.affinities[:15]:
        table.add_row(affinity.category, f"{affinity.weight:.1%}", str(affinity.events))
    Console(highlight=False, markup=False).print(table)
    declared = profile.preferences
    if declared.interests:
        click.echo("interests: " + ", ".join(f"{c} {w:g}" for c, w in declared.interests.items()))
    if declared.dislikes:
        click.echo("dislikes: " + ", ".join(declared.dislikes))
