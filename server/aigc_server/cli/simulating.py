"""``aigc simulate``: strategies compared on simulated users, with the real server in the loop."""

from __future__ import annotations

import signal
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from aigc.evaluate.simulation.comparison import Mean, compare_pairs, mean_of
from aigc.evaluate.simulation.population import PopulationOptions
from aigc.evaluate.simulation.trace import Trace
from aigc_server.cli.output import print_json, progress_bar
from aigc_server.simulation import Simulation, SimulationOptions, best_still
from aigc_server.simulation_worlds import WORLDS

__all__ = ["simulate_command"]


@click.command("simulate")
@click.option("--world", "world_name", type=click.Choice(sorted(WORLDS)), default="toy", help="What the catalogue is.")
@click.option(
    "--catalogue", type=click.Choice(["thin", "rich", "both"]), default="thin", help="How much of it there is."
)
@click.option("--each", type=click.IntRange(1), help="Items a taste instead of the world's thin or rich.")
@click.option(
    "--strategies",
    default="default,content,collaborative,explore,popular",
    help="Names with commas between; those whose file switches generation on generate.",
)
@click.option(
    "--strategy-files", type=click.Path(path_type=Path, exists=True, file_okay=False), help="Further strategies."
)
@click.option(
    "--models", type=click.Path(path_type=Path), help="The folder of generators, models/ of a data directory."
)
@click.option("--data", type=click.Path(path_type=Path), default=Path(), help="Folder of MNIST, or of the emoji.")
@click.option("--seeds", default=20, type=click.IntRange(1), help="Societies; each meets every strategy.")
@click.option("--first-seed", default=0, type=click.IntRange(0), help="Of the first society: a run in parts.")
@click.option("--users", default=40, type=click.IntRange(1), help="Of a society.")
@click.option("--rounds", default=20, type=click.IntRange(1), help="Visits that each can pay.")
@click.option("--n", default=6, type=click.IntRange(1), help="Items a list.")
@click.option("--tastes", default=2, type=click.IntRange(1), help="Favourites of a user.")
@click.option("--wanted", default=2, type=click.IntRange(1), help="Items asked for in a generation.")
@click.option("--generate-every", default=1, type=click.IntRange(1), help="Rounds between two requests to generate.")
@click.option(
    "--out", type=click.Path(path_type=Path), required=True, help="Folder for traces and plots; resumes there."
)
@click.option("--json", "as_json", is_flag=True, help="JSON for a program.")
def simulate_command(
    world_name: str,
    catalogue: str,
    each: int | None,
    strategies: str,
    strategy_files: Path | None,
    models: Path | None,
    data: Path,
    seeds: int,
    first_seed: int,
    users: int,
    rounds: int,
    n: int,
    tastes: int,
    wanted: int,
    generate_every: int,
    out: Path,
    as_json: bool,
) -> None:
    """Compare strategies on simulated users: paired seeds, a real server each, intervals, plots over time.

    Users have several tastes, tire of what they see, are curious and change. What they would click is known to the
    simulator alone; generated pictures it reads with a network of its own.
    """
    source = WORLDS[world_name](data, out / "readers")
    sizes = {"thin": source.thin, "rich": source.rich}
    chosen = {catalogue: each or sizes[catalogue]} if catalogue != "both" else sizes
    told = []
    for size, items in chosen.items():
        options = SimulationOptions(
            strategies=tuple(s.strip() for s in strategies.split(",") if s.strip()),
            seeds=seeds,
            first_seed=first_seed,
            each=items,
            rounds=rounds,
            n=n,
            wanted=wanted,
            generate_every=generate_every,
            population=PopulationOptions(users=users, tastes=tastes),
        )
        simulation = Simulation(
            f"{world_name}-{size}",
            source.world,
            source.reader,
            options,
            out,
            strategy_files=strategy_files,
            models=models,
        )
        with _leaving_no_server(), progress_bar(f"{world_name}, {size}") as bar:
            traces = simulation.run(bar.at)
        plot = _draw(traces, simulation, out / f"{world_name}-{size}.png", f"{world_name}, {items} items a taste")
        told.append(_fields(traces, simulation, size, items, plot))
        if not as_json:
            _print(traces, simulation, f"{world_name}, {size}: {items} items a taste, {seeds} seeds, {users} users")
            click.echo(f"  {plot}")
    if as_json:
        print_json(told)


@contextmanager
def _leaving_no_server() -> Iterator[None]:
    """SIGTERM ends the block as Ctrl-C does, so that the server it has started ends with it."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _draw(traces: Mapping[str, Sequence[Trace]], simulation: Simulation, path: Path, title: str) -> Path:
    # Slow to import.
    from aigc.evaluate.simulation.plots import draw_comparison

    baseline = best_still(traces, simulation.generating)
    return draw_comparison(traces, path, title=title, baseline=baseline, caps=simulation.caps)


def _fields(
    traces: Mapping[str, Sequence[Trace]], simulation: Simulation, size: str, items: int, plot: Path
) -> dict[str, object]:
    baseline = best_still(traces, simulation.generating)
    rows = []
    for name, runs in traces.items():
        engagement = mean_of([t.mean_engagement for t in runs])
        row: dict[str, object] = {
            "strategy": name,
            "generates": name in simulation.generating,
            "engagement": [engagement.value, engagement.low, engagement.high],
            "largest_generated_share": max(float(t.largest_share.max()) for t in runs),
            "cap": simulation.caps[name],
            "lists_over_cap": int(sum(t.over_cap.sum() for t in runs)),
        }
        if baseline and name != baseline:
            paired = compare_pairs(traces, name, baseline)
            row["difference"] = [paired.difference.value, paired.difference.low, paired.difference.high]
            row["wins"] = paired.wins
        rows.append(row)
    return {"catalogue": size, "items_a_taste": items, "baseline": baseline, "strategies": rows, "plot": str(plot)}


def _print(traces: Mapping[str, Sequence[Trace]], simulation: Simulation, title: str) -> None:
    baseline = best_still(traces, simulation.generating)
    table = Table(box=None, header_style="bold", title=title, title_justify="left")
    for name in ("strategy", "clicks a visit", f"less {baseline}" if baseline else "", "wins", "generated", "over cap"):
        table.add_column(name, justify="left" if name == "strategy" else "right")
    for name, runs in traces.items():
        shown = sum(float(t.shown.sum()) for t in runs)
        share = sum(float(t.generated.sum()) for t in runs) / max(1.0, shown)
        difference = wins = ""
        if baseline and name != baseline:
            paired = compare_pairs(traces, name, baseline)
            difference, wins = _interval(paired.difference, "+"), f"{paired.wins}/{paired.seeds}"
        over = int(sum(t.over_cap.sum() for t in runs))
        largest = max(float(t.largest_share.max()) for t in runs)
        table.add_row(
            name,
            _interval(mean_of([t.mean_engagement for t in runs])),
            difference,
            wins,
            f"{share:.1%}, at most {largest:.0%} of a list",
            f"{over} lists",
        )
    Console(width=140, highlight=False, markup=False).print(table)


def _interval(mean: Mean, sign: str = "") -> str:
    return f"{mean.value:{sign}.3f} [{mean.low:{sign}.3f}, {mean.high:{sign}.3f}]"
