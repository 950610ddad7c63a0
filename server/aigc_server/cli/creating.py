"""``aigc create`` and ``aigc creations``: content made for a user by a running server, and a person's review of it."""

from __future__ import annotations

import sys
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import click
from google.protobuf.json_format import MessageToDict
from rich.console import Console
from rich.table import Table

from aigc.v1 import creation_pb2
from aigc.v1 import creation_service_pb2 as pb
from aigc.v1.creation_service_pb2_grpc import CreationServiceStub
from aigc_server.cli.output import print_json
from aigc_server.cli.remote import called
from aigc_server.cli.running_server import running_server, server_options

__all__ = ["create_command", "creations_group"]

_STATES = ("admitted", "refused", "pending", "rejected")


@click.command("create")
@click.option("--user", "user_id", required=True, help="For whom.")
@click.option("--n", default=4, help="Items wanted.")
@click.option("--kind", type=click.Choice(["image", "text", "audio"]), help="Of content.  [default: any]")
@click.option(
    "--strategy", default="", show_default=False, help="A strategy that generates.  [default: the running one]"
)
@click.option("--adventure", type=click.FloatRange(0, 1), help="0 faithful, 1 adventurous.  [default: the strategy's]")
@click.option("--force", is_flag=True, help="Generate even where the catalogue suffices.")
@click.option("--dry-run", is_flag=True, help="Tell the decision only.")
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), help="Write what was admitted here.")
@click.option("--json", "as_json", is_flag=True, help="JSON lines for a program.")
@server_options
def create_command(
    user_id: str,
    n: int,
    kind: str | None,
    strategy: str,
    adventure: float | None,
    force: bool,
    dry_run: bool,
    out: Path | None,
    as_json: bool,
    server: str | None,
    home: str | None,
    config: Path | None,
) -> None:
    """Have the running server generate for a user where the catalogue is thin; tells the decision and each result."""
    request = pb.GenerateForUserRequest(
        user_id=user_id,
        n=n,
        kind=kind or "",
        strategy=strategy,
        adventure=adventure,
        force=force,
        dry_run=dry_run,
    )
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
    with _stub(server, home, config) as stub:
        stream = stub.GenerateForUser(request)
        while (step := called(lambda: next(stream, None))) is not None:
            if as_json:
                print_json(MessageToDict(step))
            else:
                _tell(step)
            if out is not None and step.item.content.data:
                (out / f"{step.item.id}.png").write_bytes(step.item.content.data)
            elif out is not None and step.item.text:
                (out / f"{step.item.id}.txt").write_text(step.item.text + "\n", encoding="utf-8")


@click.group("creations", invoke_without_command=True)
@click.option("--state", type=click.Choice(_STATES), help="Only these; `pending` is the review queue.")
@click.option("--user", "user_id", default="", show_default=False, help="Only for this user.")
@click.option("--n", default=20, help="At most.")
@click.option("--json", "as_json", is_flag=True, help="JSON for a program.")
@server_options
@click.pass_context
def creations_group(
    context: click.Context,
    state: str | None,
    user_id: str,
    n: int,
    as_json: bool,
    server: str | None,
    home: str | None,
    config: Path | None,
) -> None:
    """List what was generated, newest first; approve or reject what waits for review; make something again."""
    if context.invoked_subcommand is not None:
        return
    wanted = creation_pb2.CreationState.Value(f"CREATION_STATE_{(state or 'unspecified').upper()}")
    request = pb.ListCreationsRequest(state=wanted, user_id=user_id, page_size=n)
    with _stub(server, home, config) as stub:
        creations = called(lambda: stub.ListCreations(request)).creations
    if as_json:
        print_json([MessageToDict(c) for c in creations])
        return
    table = Table(box=None, header_style="bold", pad_edge=False)
    for heading in ("id", "state", "user", "kind", "model", "title", "why"):
        table.add_column(heading, overflow="fold")
    for c in creations:
        table.add_row(c.id, _state(c), c.user_id, c.kind, f"{c.model} by {c.condition}", c.title, c.detail)
    # A pipe has no width: nothing is folded for a program.
    Console(width=None if sys.stdout.isatty() else 200, highlight=False, markup=False).print(table)


@creations_group.command("approve")
@click.argument("creation_id", metavar="ID")
@click.option("--reviewer", required=True, help="Who decides.")
@server_options
def approve_command(creation_id: str, reviewer: str, server: str | None, home: str | None, config: Path | None) -> None:
    """Let the pending creation ID be recommended."""
    with _stub(server, home, config) as stub:
        made = called(
            lambda: stub.ApproveCreation(pb.ApproveCreationRequest(id=creation_id, reviewer=reviewer))
        ).creation
    click.echo(f"{made.title} is {_state(made)}")


@creations_group.command("reject")
@click.argument("creation_id", metavar="ID")
@click.option("--reviewer", required=True, help="Who decides.")
@click.option("--reason", required=True, help="Why.")
@server_options
def reject_command(
    creation_id: str, reviewer: str, reason: str, server: str | None, home: str | None, config: Path | None
) -> None:
    """Refuse the pending creation ID for good."""
    request = pb.RejectCreationRequest(id=creation_id, reviewer=reviewer, reason=reason)
    with _stub(server, home, config) as stub:
        made = called(lambda: stub.RejectCreation(request)).creation
    click.echo(f"{made.title} is {_state(made)}")


@creations_group.command("regenerate")
@click.argument("creation_id", metavar="ID")
@server_options
def regenerate_command(creation_id: str, server: str | None, home: str | None, config: Path | None) -> None:
    """Make the creation, or the item, ID again from its record, and compare. Exit code 1 when it differs."""
    with _stub(server, home, config) as stub:
        answer = called(lambda: stub.RegenerateCreation(pb.RegenerateCreationRequest(id=creation_id)))
    click.echo("the same to the last byte" if answer.identical else "it differs: another build or another processor?")
    if not answer.identical:
        sys.exit(1)


@creations_group.command("background")
@click.option("--json", "as_json", is_flag=True, help="JSON for a program.")
@server_options
def background_command(as_json: bool, server: str | None, home: str | None, config: Path | None) -> None:
    """Tell what the running server generates between requests, and what came of it."""
    with _stub(server, home, config) as stub:
        status = called(lambda: stub.GetBackgroundStatus(pb.GetBackgroundStatusRequest()))
    if as_json:
        print_json(MessageToDict(status, always_print_fields_with_no_presence=True))
        return
    state = creation_pb2.BackgroundState.Name(status.state).removeprefix("BACKGROUND_STATE_").lower()
    click.echo(f"{state}: {status.detail}")
    click.echo(
        f"users    {status.active_users:,} active, {status.looked_at:,} looked at, {status.attempts:,} generated for"
    )
    click.echo(f"items    {status.admitted:,} admitted, {status.refused:,} candidates refused")
    click.echo(f"time     {status.spent.ToMilliseconds() / 1000:.1f} s spent")
    left = status.time_left.ToMilliseconds() / 1000
    click.echo(f"budget   {status.items_left:,} items and {left:.0f} s are left of this hour")


def _stub(server: str | None, home: str | None, config: Path | None) -> AbstractContextManager[Any]:
    return running_server(server, home, config, CreationServiceStub)


def _state(creation: creation_pb2.Creation) -> str:
    return creation_pb2.CreationState.Name(creation.state).removeprefix("CREATION_STATE_").lower()


def _tell(step: pb.GenerateForUserResponse) -> None:
    if step.HasField("decision"):
        click.echo("generate" if step.decision.generate else "do not generate")
        for reason in step.decision.reasons:
            click.echo(f"  {'+' if reason.speaks_for else '-'} {reason.text}")
    elif step.HasField("progress"):
        p = step.progress
        click.echo(f"{p.stage}: {p.admitted} of {p.wanted} admitted, {p.refused} of {p.made} refused", err=True)
    else:
        c = step.creation
        why = f": {c.detail}" if c.detail else ""
        click.echo(f"{_state(c)} {c.title} ({c.model} by {c.condition}){why}")
