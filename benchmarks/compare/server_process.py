"""A server on core 0 with all it starts: found by a mark in the environment, measured, ended."""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

SERVER_CORE, LOAD_CORE = "0", "1"
_MARK = "AIGC_COMPARE_SERVER"


def free_port() -> int:
    """A port that nobody listens on, and neither on the next one."""
    while True:
        with socket.socket() as first, socket.socket() as second:
            first.bind(("127.0.0.1", 0))
            port = int(first.getsockname()[1])
            with contextlib.suppress(OSError, OverflowError):
                second.bind(("127.0.0.1", port + 1))
                return port


@dataclass(frozen=True)
class Running:
    """A server that listens.

    Attributes:
        port: Where.
        mark: What all its processes have in their environment.
    """

    port: int
    mark: str

    def processes(self) -> list[int]:
        """Every process of it that lives, those that left its tree included."""
        mark = f"{_MARK}={self.mark}".encode()
        found = []
        for folder in Path("/proc").iterdir():
            if folder.name.isdigit():
                with contextlib.suppress(OSError):
                    if mark in (folder / "environ").read_bytes().split(b"\0"):
                        found.append(int(folder.name))
        return found

    def memory_mb(self) -> float:
        """Proportional set size of all processes: a page that several share counts once."""
        total = 0
        for pid in self.processes():
            with contextlib.suppress(OSError):
                for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
                    if line.startswith("Pss:"):
                        total += int(line.split()[1])
        return total / 1024


@contextlib.contextmanager
def running(
    command: list[str], port: int, log: Path, environment: dict[str, str], ready: str = ""
) -> Iterator[Running]:
    """Start ``command`` pinned to core 0, and end it with all it started.

    Args:
        command: The server.
        port: Waited for until somebody listens.
        log: What it prints, written anew.
        environment: Beside the caller's.
        ready: Waited for in the log, too.
    """
    server = Running(port, secrets.token_hex(8))
    one_thread = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    with log.open("wb") as output:
        process = subprocess.Popen(
            ["taskset", "-c", SERVER_CORE, *command],
            stdout=output,
            stderr=output,
            env={**os.environ, **one_thread, **environment, _MARK: server.mark},
        )
    try:
        _wait_for(port, process, log, ready.encode())
        yield server
    finally:
        process.send_signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(20)
        for pid in server.processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        process.wait()


def _wait_for(port: int, process: subprocess.Popen[bytes], log: Path, ready: bytes) -> None:
    for _ in range(1200):
        if process.poll() is not None:
            raise SystemExit(f"a server ended before it listened; see {log}")
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0 and ready in log.read_bytes():
                return
        time.sleep(0.05)
    raise SystemExit(f"a server does not listen; see {log}")
