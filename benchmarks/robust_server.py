"""A server in a process of its own for the robustness benchmarks: started, watched through /proc, ended by SIGTERM."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))  # tests.faults.hostile
CLI = [sys.executable, "-m", "aigc_server.cli"]


@dataclass(frozen=True)
class Usage:
    """What the process holds; ``rss`` in MB, ``anonymous`` without what maps files and can be had again."""

    rss: float
    anonymous: float
    fds: int
    threads: int

    def __str__(self) -> str:
        return f"{self.rss:.0f} MB ({self.anonymous:.0f} anonymous), {self.fds} fds, {self.threads} threads"


def usage(pid: int) -> Usage:
    """Of one process, now."""
    status = dict(
        line.split(":", 1)
        for line in Path(f"/proc/{pid}/status").read_text().splitlines()
        if line.startswith(("Rss", "VmRSS", "Thr"))
    )
    megabytes = {k: int(v.split()[0]) / 1024 for k, v in status.items() if k != "Threads"}
    fds = len(list(Path(f"/proc/{pid}/fd").iterdir()))
    return Usage(megabytes["VmRSS"], megabytes["RssAnon"], fds, int(status["Threads"]))


class Served:
    """``aigc serve`` over a copy of a data directory. ``sanitized`` is the file of an ASAN+UBSAN ingress."""

    def __init__(
        self,
        home: Path,
        front: str,
        *,
        core: int | None = None,
        sanitized: Path | None = None,
        log: Path | None = None,
        **environment: str,
    ) -> None:
        command = [*CLI]
        environment = {
            "AIGC_SERVER__INGRESS__MODE": "on" if front == "ingress" else "off",
            "AIGC_LOG__LEVEL": "error",
            "OMP_NUM_THREADS": "1",
            **environment,
        }
        if sanitized is not None:
            command = [sys.executable, str(HERE.parent / "tools" / "sanitized_ingress.py"), str(sanitized), "aigc"]
            libraries = [
                subprocess.run(
                    ["g++", f"-print-file-name={name}"], capture_output=True, text=True, check=True
                ).stdout.strip()
                for name in ("libasan.so", "libstdc++.so")
            ]
            # abort_on_error: a finding is a crash that the one who waits for the process sees.
            environment |= {
                "LD_PRELOAD": " ".join(libraries),
                "ASAN_OPTIONS": "detect_leaks=0:abort_on_error=1:quarantine_size_mb=16",
                "UBSAN_OPTIONS": "halt_on_error=1:abort_on_error=1:print_stacktrace=1",
                "PYTHONMALLOC": "malloc",
            }
        pinned = ["taskset", "-c", str(core)] if core is not None else []
        self.home = home
        self.log = log or home.parent / f"{home.name}.log"
        note = home / "server.json"
        note.unlink(missing_ok=True)
        with self.log.open("a") as out:
            self.process = subprocess.Popen(
                [*pinned, *command, "serve", "--home", str(home), "--listen", "127.0.0.1:0"],
                stdout=out,
                stderr=out,
                env={**os.environ, **environment},
            )
        deadline = time.monotonic() + 120
        while not (note.exists() and note.read_text().endswith("\n")):
            assert self.process.poll() is None, self.said()[-4000:]
            assert time.monotonic() < deadline, "the server did not start"
            time.sleep(0.01)
        self.address = json.loads(note.read_text())["address"]
        host, _, port = self.address.rpartition(":")
        self.host, self.port = host, int(port)
        self.pid = int(json.loads(note.read_text())["pid"])

    def __enter__(self) -> Served:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.end()

    def said(self) -> str:
        """Its log."""
        return self.log.read_text(errors="replace")

    def usage(self) -> Usage:
        """What it holds now."""
        return usage(self.pid)

    def others(self) -> list[Usage]:
        """Its children, such as the generator."""
        return [usage(child.pid) for child in psutil.Process(self.pid).children(recursive=True)]

    def end(self, patience_s: float = 60) -> int:
        """SIGTERM; gives the exit status, or kills and gives that of the kill."""
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(patience_s)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()


def trained_home(folder: Path, given: Path | None, snapshots: int = 1) -> Path:
    """A data directory of ml-latest-small with so many snapshots; ``given`` is copied."""
    home = folder / "home"
    if given is not None:
        shutil.copytree(given, home)
    else:
        data = HERE.parents[1] / "shared" / "data" / "ml-latest-small"
        _run(["import", "movielens", str(data), "--home", str(home)])
    while len(snapshot_ids(home)) < snapshots:
        _run(["train", "--home", str(home)])
    return home


def snapshot_ids(home: Path) -> list[str]:
    folder = home / "snapshots"
    return sorted(p.name for p in folder.iterdir() if p.is_dir() and p.name[0] != ".") if folder.is_dir() else []


def _run(arguments: Sequence[str]) -> None:
    subprocess.run([*CLI, *arguments], check=True, stdout=subprocess.DEVNULL)
