"""``aigc generator jobs``: trainings that a running server does in the background."""

from __future__ import annotations

import sys
import time
import uuid
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import click
from google.protobuf.json_format import MessageToDict
from rich.console import Console
from rich.table import Table

from aigc.v1 import job_pb2
from aigc.v1 import training_service_pb2 as pb
from aigc.v1.training_service_pb2_grpc import TrainingServiceStub
from aigc_server.cli.generator_recipes import catalogue_options, liked_options, parse_liked, parse_set, set_option
from aigc_server.cli.output import print_json
from aigc_server.cli.remote import called
from aigc_server.cli.running_server import running_server, server_options

__all__ = ["jobs_group"]


@click.group("jobs", invoke_without_command=True)
@click.option("--json", "as_json", is_flag=True, help="JSON for a program.")
@server_options
@click.pass_context
def jobs_group(
    context: click.Context, as_json: bool, server: str | None, home: str | None, config: Path | None
) -> None:
    """List the training jobs of a running server, or start, watch and cancel them.

    A server trains one job at a time, at low priority, each in a process of its own. Jobs survive its restart and its
    death: they go on from their last checkpoint.
    """
    if context.invoked_subcommand is not None:
        return
    with _stub(server, home, config) as stub:
        jobs: list[job_pb2.Job] = []
        token = ""
        while True:
            page = called(lambda: stub.ListJobs(pb.ListJobsRequest(page_token=token)))  # noqa: B023
            jobs += page.jobs
            token = page.next_page_token
            if not token:
                break
    if as_json:
        print_json([MessageToDict(job) for job in jobs])
        return
    if not jobs:
        click.echo("no jobs; start one: aigc generator jobs start --help")
        return
    table = Table(box=None, header_style="bold", pad_edge=False)
    for heading in ("id", "kind", "model", "state", "step", "made or why"):
        table.add_column(heading, no_wrap=heading != "made or why", overflow="fold")
    for job in jobs:
        step = f"{job.step:,}/{job.steps:,}" if job.steps else ""
        table.add_row(job.id, job.kind, job.model, _state(job), step, job.made or job.error)
    # A pipe has no width: nothing is folded for a program.
    Console(width=None if sys.stdout.isatty() else 200, highlight=False, markup=False).print(table)


@jobs_group.command("start")
@click.argument("kind")
@click.option("--name", required=True, help="Of the model; each training makes a new version of it.")
@set_option
@catalogue_options
@liked_options
@click.option("--watch", is_flag=True, help="Watch it until it ends.")
@server_options
def start_command(
    kind: str,
    name: str,
    settings: tuple[str, ...],
    item_kinds: tuple[str, ...],
    categories: tuple[str, ...],
    include_generated: bool,
    from_model: str,
    liked: bool,
    liked_by: int | None,
    liked_days: float | None,
    liked_users: tuple[str, ...],
    watch: bool,
    server: str | None,
    home: str | None,
    config: Path | None,
) -> None:
    """Have the server train a generator of KIND on its catalogue."""
    chosen = parse_liked(liked, liked_by, liked_days, liked_users)
    request = pb.StartTrainingRequest(
        request_id=uuid.uuid4().hex,
        kind=kind,
        model=name,
        options=parse_set(settings),
        item_kinds=item_kinds,
        categories=categories,
        include_generated=include_generated,
        liked=pb.LikedItems(users=chosen.users, days=chosen.days, user_ids=chosen.user_ids) if chosen else None,
        from_model=from_model,
    )
    with _stub(server, home, config) as stub:
        job = called(lambda: stub.StartTraining(request)).job
        click.echo(f"job {job.id} is {_state(job)}")
        if watch:
            _watch(stub, job.id)


@jobs_group.command("watch")
@click.argument("job_id", metavar="ID")
@server_options
def watch_command(job_id: str, server: str | None, home: str | None, config: Path | None) -> None:
    """Show the job ID whenever something about it changes, until it ends. Exit code 1 when it made nothing."""
    with _stub(server, home, config) as stub:
        _watch(stub, job_id)


@jobs_group.command("cancel")
@click.argument("job_id", metavar="ID")
@server_options
def cancel_command(job_id: str, server: str | None, home: str | None, config: Path | None) -> None:
    """End the job ID; what it learned stays in its folder."""
    with _stub(server, home, config) as stub:
        job = called(lambda: stub.CancelJob(pb.CancelJobRequest(id=job_id))).job
    click.echo(f"job {job.id} is {_state(job)}")


def _watch(stub: Any, job_id: str) -> None:
    shown, told = 0, 0.0
    job = job_pb2.Job()
    stream = stub.WatchJob(pb.WatchJobRequest(id=job_id))
    state = ""
    while (response := called(lambda: next(stream, None))) is not None:
        job = response.job
        for event in job.events[shown:]:
            click.echo(f"step {job.step:,}: {event}")
        shown = len(job.events)
        if _state(job) != state:
            state = _state(job)
            click.echo(state)
        if job.metrics and time.monotonic() - told > 1:
            told = time.monotonic()
            losses = ", ".join(f"{k} {v:.4g}" for k, v in sorted(job.metrics.items()) if k.endswith("loss"))
            click.echo(f"step {job.step:,} of {job.steps:,}: {losses}; {job.time_left.seconds} s left")
    if job.state == job_pb2.JOB_STATE_SUCCEEDED:
        measures = ", ".join(f"{k} {v:.4g}" for k, v in sorted(job.measures.items()))
        click.echo(f"made {job.made}; {measures}")
        return
    if job.error:
        click.echo(job.error, err=True)
    sys.exit(1)


def _stub(server: str | None, home: str | None, config: Path | None) -> AbstractContextManager[Any]:
    return running_server(server, home, config, TrainingServiceStub)


def _state(job: job_pb2.Job) -> str:
    return job_pb2.JobState.Name(job.state).removeprefix("JOB_STATE_").lower()
