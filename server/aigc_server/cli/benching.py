"""``aigc bench``: load on a running server without further tools."""

from __future__ import annotations

import asyncio
from pathlib import Path

import click

from aigc.errors import InvalidInputError
from aigc_server.cli.options import home_options, settings_of
from aigc_server.cli.output import print_json
from aigc_server.cli.running_server import address_of
from aigc_server.load import CALLS, Load, put_load

__all__ = ["bench_command"]


@click.command("bench")
@click.option("--server", metavar="HOST:PORT", help="Of the running server.  [default: the one of this data directory]")
@click.option("--rpc", type=click.Choice(sorted(CALLS)), default="recommend", help="What is called.")
@click.option("--users", default=8, help="Callers at once, each waiting for its answer before it asks again.")
@click.option("--rate", default=0.0, help="Calls a second whether or not answers come (open loop), instead of --users.")
@click.option("--seconds", default=5.0, help="How long.")
@click.option("--warm-up", default=0.5, help="Seconds before that, which do not count.")
@click.option(
    "--ids",
    "user_ids",
    default="",
    show_default=False,
    metavar="A,B,…",
    help="Users asked for.  [default: user-0 … user-399]",
)
@click.option("--n", default=20, help="Items wanted, or users of a batch_recommend.")
@click.option("--model", default="", show_default=False, help="Of generate_text and generate_images.")
@click.option("--json", "as_json", is_flag=True, help="For a program.")
@home_options
def bench_command(
    server: str | None,
    rpc: str,
    users: int,
    rate: float,
    seconds: float,
    warm_up: float,
    user_ids: str,
    n: int,
    model: str,
    as_json: bool,
    home: str | None,
    config: Path | None,
) -> None:
    r"""Call a running server as fast as it answers, or at a rate, and tell requests/s and latencies.

    \b
    Examples:
      aigc bench --users 64                        # closed loop: 64 callers that wait
      aigc bench --rate 500 --seconds 10           # open loop: half of what the first said, and its p99
      aigc bench --rpc record_events --users 64    # writes events of load-… users into the store

    Exit code 1 when a call failed. What is measured holds for this Python client too: it makes some thousand calls a
    second a core, and shares the machine with a server on it. For more, see docs/load-testing.md.
    """
    if rpc.startswith("generate") and not model:
        raise InvalidInputError(f"--rpc {rpc} needs --model NAME; see `aigc generator models`", field="model")
    address = server or address_of(settings_of(home, config)[1])
    load = Load(rpc, users, rate, seconds, warm_up, tuple(u for u in user_ids.split(",") if u), n, model)
    told = asyncio.run(put_load(address, load))
    if as_json:
        print_json(told.fields())
    else:
        click.echo(told.text())
    if told.errors:
        raise SystemExit(1)
