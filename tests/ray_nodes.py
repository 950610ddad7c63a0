"""Ray nodes on this machine, each ``ray start --block``: of the tests' own, killed like a machine, gone at the end."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

OBJECT_STORE_BYTES = 100_000_000
ENVIRONMENT = {
    "RAY_AUTH_MODE": "disabled",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",
    "PYTHONDONTWRITEBYTECODE": "",
    "OMP_NUM_THREADS": "1",
    # Else lines that two replicas write alike are shown once.
    "RAY_DEDUP_LOGS": "0",
}


def free_port() -> int:
    """One that nobody uses now."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


class Node:
    """A raylet and what it started; the head also has the cluster's store."""

    def __init__(self, log: Path, *arguments: str, cpus: int, environment: Mapping[str, str]) -> None:
        """Start. Args: log: what its processes write; arguments: of ``ray start``."""
        command = [str(Path(sys.executable).parent / "ray"), "start", "--block", "--disable-usage-stats"]
        shape = [f"--num-cpus={cpus}", f"--object-store-memory={OBJECT_STORE_BYTES}"]
        with log.open("ab") as out:
            self.process = subprocess.Popen(
                [*command, *shape, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                env=os.environ | ENVIRONMENT | environment,
                start_new_session=True,
            )

    def processes(self) -> list[int]:
        """Ids of all that belongs to it."""
        return descendants(self.process.pid)

    def titles(self) -> dict[int, str]:
        """Process → what Ray calls it."""
        found = {}
        for pid in self.processes():
            with suppress(OSError):
                found[pid] = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode().strip()
        return found

    def freeze(self) -> None:
        """As a machine loses its power: connections stay open and nobody answers."""
        for pid in self.processes():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGSTOP)

    def kill(self) -> None:
        """As a machine is lost: everything at once, nothing says goodbye."""
        for pid in self.processes():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait()


class Cluster:
    """A head, and nodes that join it.

    Attributes:
        address: For ``ray.init`` and ``--address``.
    """

    def __init__(self, folder: Path) -> None:
        """Args: folder: of the logs of nodes."""
        self.folder = folder
        self.nodes: list[Node] = []
        self.address = f"127.0.0.1:{free_port()}"
        # A socket's path may have 107 bytes.
        self._files = Path(tempfile.mkdtemp(prefix="ray-", dir="/tmp"))

    def add(self, *, cpus: int, environment: Mapping[str, str] | None = None) -> Node:
        """Start a node; the first one is the head. Returns when it has joined."""
        first = not self.nodes
        if first:
            port = self.address.rpartition(":")[2]
            arguments = ["--head", f"--port={port}", f"--temp-dir={self._files}", "--include-dashboard=false"]
            arguments += ["--dashboard-agent-listen-port=0", "--node-ip-address=127.0.0.1"]
        else:
            arguments = [f"--address={self.address}", f"--node-ip-address=127.0.0.{len(self.nodes) + 1}"]
            arguments += ["--dashboard-agent-listen-port=0"]
        log = self.folder / f"node-{len(self.nodes)}.log"
        before = log.stat().st_size if log.exists() else 0
        node = Node(log, *arguments, cpus=cpus, environment=environment or {})
        self.nodes.append(node)
        until = time.monotonic() + 60
        while b"Ray runtime started" not in log.read_bytes()[before:]:
            if node.process.poll() is not None or time.monotonic() > until:
                raise AssertionError(log.read_text()[-3000:])
            time.sleep(0.05)
        return node

    def close(self) -> None:
        """End everything."""
        for node in reversed(self.nodes):
            if node.process.poll() is None:
                node.kill()
        shutil.rmtree(self._files, ignore_errors=True)


@contextmanager
def cluster(folder: Path) -> Iterator[Cluster]:
    """An empty one, gone at the end."""
    made = Cluster(folder)
    try:
        yield made
    finally:
        made.close()


def descendants(pid: int) -> list[int]:
    """A process and all below it, those before that were started later."""
    children: dict[int, list[int]] = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            with suppress(OSError):
                fields = (folder / "stat").read_text().rpartition(")")[2].split()
                children.setdefault(int(fields[1]), []).append(int(folder.name))
    found, waiting = [], [pid]
    while waiting:
        found.append(waiting.pop())
        waiting += children.get(found[-1], [])
    return found
