"""A PostgreSQL cluster of the tests' own, on a port that the system chooses, gone at the end."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

USER = "postgres"


def programs() -> Path | None:
    """The folder of initdb and pg_ctl: the newest version's, or what the PATH has."""
    installed = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda p: float(p.parent.parent.name))
    if installed:
        return installed[-1].parent
    found = shutil.which("initdb")
    return Path(found).parent if found else None


@contextmanager
def cluster(folder: Path) -> Iterator[str]:
    """Gives the URL of the server's ``postgres`` database."""
    bin_folder = programs()
    assert bin_folder is not None
    data = folder / "data"
    folder.mkdir(parents=True, exist_ok=True)
    # PostgreSQL refuses to run as root.
    as_user = ["runuser", "-u", USER, "--"] if os.geteuid() == 0 else []
    if as_user:
        shutil.chown(folder, USER)
        for parent in folder.parents:
            if parent.owner() == "root" and parent.stat().st_mode & 0o055 != 0o055 and parent != Path("/"):
                parent.chmod(parent.stat().st_mode | 0o055)
    owner = USER if as_user else os.environ.get("USER", USER)
    run(*as_user, bin_folder / "initdb", "-D", data, "-A", "trust", "-U", owner, "-E", "UTF8", "--locale=C.UTF-8")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    options = f"-h 127.0.0.1 -p {port} -k {folder} -c max_connections=60"
    run(*as_user, bin_folder / "pg_ctl", "-D", data, "-w", "-l", folder / "log", "-o", options, "start")
    try:
        yield f"postgresql://{owner}@127.0.0.1:{port}/postgres"
    finally:
        run(*as_user, bin_folder / "pg_ctl", "-D", data, "-m", "immediate", "-w", "stop")


def run(*command: object) -> None:
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True, check=False, cwd="/")
    assert done.returncode == 0, done.stdout + done.stderr


def new_database(server_url: str, name: str) -> str:
    """Create an empty database and give its URL."""
    import psycopg

    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"')
    return server_url.rsplit("/", 1)[0] + f"/{name}"
