"""The command ``aigc``."""

from __future__ import annotations

import sys

import click

from aigc.errors import AigcError
from aigc_server.cli.benching import bench_command
from aigc_server.cli.creating import create_command, creations_group
from aigc_server.cli.datasets import datasets_group
from aigc_server.cli.generator import generator_group
from aigc_server.cli.importing import import_group
from aigc_server.cli.keeping import backup_command, restore_command
from aigc_server.cli.looking import doctor_command, snapshot_group, status_command
from aigc_server.cli.on_ray import ray_group
from aigc_server.cli.preparing import prepare_command
from aigc_server.cli.recommending import (
    profile_command,
    recommend_command,
    search_command,
    similar_command,
)
from aigc_server.cli.running import serve_command, train_command
from aigc_server.cli.simulating import simulate_command

__all__ = ["cli", "main"]


@click.group(context_settings={"help_option_names": ["-h", "--help"], "show_default": True})
@click.version_option(package_name="aigc")
def cli() -> None:
    r"""Recommend what exists and generate what is missing.

    \b
    A first run, from data to a served recommendation:
      aigc import movielens DIR        # or: import items FILE, import events FILE, import images PATH
      aigc train                       # builds and publishes a snapshot
      aigc recommend --user 1          # titles, best first
      aigc serve --listen 127.0.0.1:50051
      aigc generator --help            # train models that make what is missing

    Everything lives in one data directory: $AIGC_HOME, or --home, or ~/.aigc. Settings stand in its aigc.toml, in the
    environment (AIGC_SERVER__LISTEN=…) and in flags, the later winning.
    """


for command in (
    datasets_group,
    import_group,
    prepare_command,
    train_command,
    serve_command,
    ray_group,
    bench_command,
    recommend_command,
    similar_command,
    search_command,
    profile_command,
    generator_group,
    simulate_command,
    create_command,
    creations_group,
    snapshot_group,
    status_command,
    doctor_command,
    backup_command,
    restore_command,
):
    cli.add_command(command)


def _keep_lines(command: click.Command) -> None:
    """Click keeps the lines of a paragraph under a backspace, which a raw docstring writes as two characters."""
    command.help = (command.help or "").replace("\\b\n", "\b\n")
    for inner in command.commands.values() if isinstance(command, click.Group) else ():
        _keep_lines(inner)


_keep_lines(cli)


def main() -> None:
    """Run; an error of ours is one line on standard error and exit code 2."""
    try:
        cli.main(standalone_mode=False)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        click.echo("interrupted", err=True)
        sys.exit(130)
    except AigcError as error:
        click.echo(f"aigc: {error.message}", err=True)
        sys.exit(2)
    except BrokenPipeError:
        sys.exit(141)
