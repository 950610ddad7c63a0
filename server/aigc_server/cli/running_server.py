"""The server that runs on a data directory, for commands that talk to it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import click
import grpc

from aigc.errors import AigcError, UnavailableError
from aigc_server.cli.options import home_options, settings_of
from aigc_server.cli.remote import remote_channel

__all__ = ["address_of", "running_server", "server_options"]

F = TypeVar("F", bound=Callable[..., Any])


def server_options(command: F) -> F:
    """``--server``, ``--home`` and ``--config``."""
    command = click.option(
        "--server", metavar="HOST:PORT", help="Of the running server.  [default: the one of this data directory]"
    )(command)
    return home_options(command)


@contextmanager
def running_server(
    server: str | None, home: str | None, config: Path | None, stub: Callable[[grpc.Channel], Any]
) -> Iterator[Any]:
    """A stub on a channel to it.

    Raises:
        UnavailableError: None runs, or it does not answer.
    """
    address = server or address_of(settings_of(home, config)[1])
    with remote_channel(address) as channel:
        yield stub(channel)


def address_of(home: Path) -> str:
    """HOST:PORT of the server that runs on a data directory. Raises UnavailableError when none does."""
    try:
        return str(json.loads((home / "server.json").read_text(encoding="utf-8"))["address"])
    except FileNotFoundError:
        raise UnavailableError(
            f"no server runs on {home}; start one with `aigc serve`, or name another with --server HOST:PORT",
            reason="NO_SERVER",
        ) from None
    except (ValueError, KeyError, TypeError) as error:
        raise AigcError(f"{home / 'server.json'} cannot be read ({error}); give --server HOST:PORT") from error
