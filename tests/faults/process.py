"""A real server in another process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import grpc

from aigc.v1 import event_pb2, event_service_pb2, event_service_pb2_grpc

AIGC = Path(sys.executable).with_name("aigc")
PATIENCE_S = 60


class ServerProcess:
    """``aigc serve`` on a port that the system chooses; ended at the end of the block if it still runs."""

    def __init__(self, home: Path, **environment: str) -> None:
        self.home = home
        self._log = (home.parent / f"{home.name}.log").open("a")
        (home / "server.json").unlink(missing_ok=True)
        self.process = subprocess.Popen(
            [AIGC, "serve", "--home", str(home), "--listen", "127.0.0.1:0", "--log-level", "error"],
            stdout=self._log,
            stderr=self._log,
            env=os.environ | environment,
        )
        note = home / "server.json"
        deadline = time.monotonic() + PATIENCE_S
        while not (note.exists() and note.read_text().endswith("\n")):
            assert self.process.poll() is None, Path(self._log.name).read_text()
            assert time.monotonic() < deadline, "the server did not start"
            time.sleep(0.01)
        self.channel = grpc.insecure_channel(json.loads(note.read_text())["address"])

    def __enter__(self) -> ServerProcess:
        return self

    def __exit__(self, *_: object) -> None:
        self.channel.close()
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(PATIENCE_S)
        self._log.close()

    def kill(self) -> None:
        """As the system would for want of memory: no warning, no cleaning up."""
        self.process.kill()
        self.process.wait(PATIENCE_S)


def record(channel: grpc.Channel, first: int, count: int) -> None:
    """Record events ``first`` … in one call; returns when they are acknowledged, raises when they are not."""
    events = [
        event_pb2.Event(id=f"e-{i}", user_id=f"user-{i % 97}", item_id=f"item-{i % 31}", type="view")
        for i in range(first, first + count)
    ]
    stub = event_service_pb2_grpc.EventServiceStub(channel)
    stub.RecordEvents(event_service_pb2.RecordEventsRequest(events=events), timeout=PATIENCE_S)
