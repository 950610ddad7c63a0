"""``--ray-workers`` and what goes with it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

__all__ = ["ray_options"]

F = TypeVar("F", bound=Callable[..., Any])


def ray_options(command: F) -> F:
    """Of a training."""
    options = (
        click.option(
            "--ray-workers", type=click.IntRange(0), default=0, help="Train on a Ray cluster, by so many workers."
        ),
        click.option(
            "--ray-address", help="Of the cluster.  [default: $RAY_ADDRESS, this machine's, or a new one for this run]"
        ),
        click.option("--ray-cpus", type=float, default=1.0, help="… that each asks of its node."),
        click.option("--ray-gpu", is_flag=True, help="… each with a GPU."),
    )
    for option in reversed(options):
        command = option(command)
    return command
