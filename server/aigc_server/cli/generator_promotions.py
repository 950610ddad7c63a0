"""``aigc generator promote``, ``promotions`` and ``withdraw``: which version of a model serves."""

from __future__ import annotations

import sys
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import click
from google.protobuf.json_format import MessageToDict
from rich.console import Console
from rich.table import Table

from aigc.v1 import promotion_pb2
from aigc.v1 import promotion_service_pb2 as pb
from aigc.v1.promotion_service_pb2_grpc import PromotionServiceStub
from aigc_server.cli.output import print_json
from aigc_server.cli.remote import called
from aigc_server.cli.running_server import running_server, server_options

__all__ = ["promote_command", "promotions_command", "withdraw_command"]


@click.command("promote")
@click.argument("name")
@click.argument("version", type=int)
@click.option("--force", is_flag=True, help="Serve it now, whatever it measures; it is watched all the same.")
@server_options
def promote_command(
    name: str, version: int, force: bool, server: str | None, home: str | None, config: Path | None
) -> None:
    r"""Have VERSION of the model NAME become the one that serves, if it is no worse.

    \b
      aigc generator list                     # versions, and what they measured
      aigc generator promote digits 3         # propose version 3
      aigc generator promotions digits        # how it does
      aigc generator withdraw digits          # end the trial

    First its measures are compared with the champion's: a version that measures worse is refused, with the figures.
    Then it does a tenth of the work of `aigc create` (GenerateForUser), and what people do with what it made is
    compared (`[promotion]` and `[rewards]` in aigc.toml). No worse: it becomes champion, and the previous one keeps
    30 % of the work until that is sure. Worse: it goes by itself.

    With --force it becomes champion at once and is compared then; a worse one is rolled back by itself. Send
    impressions as well as clicks and likes: what was seen and left is what a worse version is known by.
    """
    with _stub(server, home, config) as stub:
        if force:
            told = called(lambda: stub.ForceVersion(pb.ForceVersionRequest(model=name, version=version))).promotion
        else:
            told = called(lambda: stub.ProposeVersion(pb.ProposeVersionRequest(model=name, version=version))).promotion
    _tell(told)


@click.command("promotions")
@click.argument("name", required=False)
@click.option("--json", "as_json", is_flag=True, help="JSON for a program.")
@server_options
def promotions_command(
    name: str | None, as_json: bool, server: str | None, home: str | None, config: Path | None
) -> None:
    """Show which version of each model serves, which one is on trial and how it does; of NAME its history too."""
    with _stub(server, home, config) as stub:
        if name:
            found = [called(lambda: stub.GetPromotion(pb.GetPromotionRequest(model=name))).promotion]
        else:
            found = _all(stub)
    if as_json:
        print_json([MessageToDict(p) for p in found])
        return
    if name:
        _tell(found[0])
        return
    if not found:
        click.echo("no model yet; train one: aigc generator train --help")
        return
    table = Table(box=None, header_style="bold", pad_edge=False)
    for heading in ("model", "stage", "champion", "beside it", "how it does", "last"):
        table.add_column(heading, overflow="fold")
    for p in found:
        last = p.history[-1] if p.history else None
        beside = f"{_role(p)} {p.other}, {p.other_share:.0%}" if p.other else ""
        table.add_row(
            p.model,
            _stage(p),
            str(p.champion),
            beside,
            _difference(p),
            f"{_outcome(last)} {last.version}" if last else "",
        )
    # A pipe has no width: nothing is folded for a program.
    Console(width=None if sys.stdout.isatty() else 200, highlight=False, markup=False).print(table)


@click.command("withdraw")
@click.argument("name")
@server_options
def withdraw_command(name: str, server: str | None, home: str | None, config: Path | None) -> None:
    """End the trial of a version of NAME: a candidate goes, a watched champion gives way to the previous one."""
    with _stub(server, home, config) as stub:
        told = called(lambda: stub.WithdrawVersion(pb.WithdrawVersionRequest(model=name))).promotion
    _tell(told)


def _all(stub: Any) -> list[promotion_pb2.Promotion]:
    found: list[promotion_pb2.Promotion] = []
    token = ""
    while True:
        page = called(lambda: stub.ListPromotions(pb.ListPromotionsRequest(page_token=token)))  # noqa: B023
        found += page.promotions
        token = page.next_page_token
        if not token:
            return found


def _stub(server: str | None, home: str | None, config: Path | None) -> AbstractContextManager[Any]:
    return running_server(server, home, config, PromotionServiceStub)


def _tell(p: promotion_pb2.Promotion) -> None:
    beside = f"; {_role(p)} {p.other} does {p.other_share:.0%} of the work" if p.other else ""
    click.echo(
        f"{p.model}: version {p.champion} serves{', promoted by force' if p.forced else ''} ({_stage(p)}){beside}"
    )
    for tally in p.tallies:
        mean = f"mean reward {tally.mean:.4f}" if tally.HasField("mean") else "no reward yet"
        click.echo(
            f"  version {tally.version}: {mean} over {tally.count:,} of at least {p.least_rewards:,} pieces of work, "
            f"{tally.waiting:,} waiting to be seen"
        )
    if p.HasField("difference"):
        click.echo(f"  {_difference(p)}; worse below 0, no worse above {-p.margin:g}")
    for event in p.history:
        time = event.time.ToDatetime().strftime("%Y-%m-%d %H:%M")
        click.echo(f"  {time} UTC  version {event.version} {_outcome(event)}: {event.reason}")


def _role(p: promotion_pb2.Promotion) -> str:
    return "candidate" if p.stage == promotion_pb2.PROMOTION_STAGE_CANARY else "previous"


def _stage(p: promotion_pb2.Promotion) -> str:
    return promotion_pb2.PromotionStage.Name(p.stage).removeprefix("PROMOTION_STAGE_").lower()


def _outcome(event: promotion_pb2.PromotionEvent) -> str:
    return (
        promotion_pb2.PromotionOutcome.Name(event.outcome).removeprefix("PROMOTION_OUTCOME_").lower().replace("_", " ")
    )


def _difference(p: promotion_pb2.Promotion) -> str:
    if not p.HasField("difference"):
        return ""
    d = p.difference
    return f"newer minus older {d.value:+.4f}, {d.low:+.4f} to {d.high:+.4f}"
