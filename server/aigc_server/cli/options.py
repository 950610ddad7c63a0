"""Options that many commands share, and what they open."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import click

from aigc.services.platform import Platform
from aigc_server.app import open_platform
from aigc_server.settings import Settings, home_folder, load_settings

__all__ = ["home_options", "opened", "settings_of"]

F = TypeVar("F", bound=Callable[..., Any])


def home_options(command: F) -> F:
    """``--home`` and ``--config``."""
    command = click.option("--home", metavar="DIR", help="Data directory.  [default: $AIGC_HOME or ~/.aigc]")(command)
    return click.option("--config", type=click.Path(path_type=Path), help="Settings file instead of HOME/aigc.toml.")(
        command
    )


def settings_of(home: str | None, config: Path | None, **flags: object) -> tuple[Settings, Path]:
    """The tree and the data directory; flags are named with __ for the dot."""
    folder = home_folder(home)
    named = {name.replace("__", "."): value for name, value in flags.items()}
    return load_settings(folder, config=config, flags=named), folder


@contextmanager
def opened(home: str | None, config: Path | None, *, read_only: bool) -> Iterator[Platform]:
    """The platform, closed at the end; reading goes on beside a running server."""
    settings, folder = settings_of(home, config)
    platform = open_platform(settings, folder, read_only=read_only)
    try:
        yield platform
    finally:
        platform.close()
