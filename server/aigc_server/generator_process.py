"""The process that holds the generators: started when it is needed, started again when it dies."""

from __future__ import annotations

import asyncio
import json
import shutil
import sys
import tempfile
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

import grpc
import structlog

from aigc.errors import UnavailableError
from aigc.services.generation_limits import GenerationLimits
from aigc_server.settings import TraceSettings

__all__ = ["GeneratorProcess"]


_START_S = 60.0
# It has nothing to save, and at low priority on a busy machine little time to end.
_END_S = 2.0
_LONGEST_PAUSE_S = 30.0
_STEADY_S = 60.0


class GeneratorProcess:
    """Torch lives here, apart from the process that ranks: a decode loop cannot hold the interpreter against it.

    The child ends by itself when its standard input closes, so none is left when this process is killed.
    """

    def __init__(
        self,
        home: Path,
        limits: GenerationLimits,
        max_message_bytes: int,
        on_change: Callable[[bool], Awaitable[None]],
        trace: TraceSettings,
    ) -> None:
        """Args: on_change: told True when the process serves, False when it does not; trace: passed on to it."""
        self._home = home
        self._limits = limits
        self._message_bytes = max_message_bytes
        self._on_change = on_change
        self._trace = trace
        self._log = structlog.get_logger("aigc.generator")
        self._keeper: asyncio.Task[None] | None = None
        self._ready = asyncio.Event()
        self._channel: grpc.aio.Channel | None = None
        self._folder = Path()
        self.pid = 0
        self.starts = 0

    async def connect(self) -> grpc.aio.Channel:
        """A channel to the process, which is started when it never was.

        Raises:
            UnavailableError: Generation is switched off, or the process did not come up.
        """
        if not self._limits.enabled:
            raise UnavailableError(
                "generation is switched off; set generation.enabled = true in aigc.toml", reason="GENERATION_OFF"
            )
        self.start()
        if self._keeper is not None and self.starts > 1 and not self._ready.is_set():
            # It died and pauses: an answer now is worth more than one after the pause.
            raise UnavailableError(
                "the generator process died and is being started again; try again in a moment", reason="GENERATOR_DOWN"
            )
        try:
            async with asyncio.timeout(_START_S):
                await self._ready.wait()
        except TimeoutError:
            raise UnavailableError(
                f"the generator process did not start within {_START_S:.0f} s; the server's log says why",
                reason="GENERATOR_DOWN",
            ) from None
        assert self._channel is not None
        return self._channel

    @property
    def address(self) -> str:
        """Where the process listens now, as gRPC names it; empty while it does not."""
        return f"unix:{self._folder / f'{self.starts}.sock'}" if self._ready.is_set() else ""

    def start(self) -> None:
        """Start the process unless it was; returns before it serves."""
        if self._keeper is None and self._limits.enabled:
            # A socket's path may have 107 bytes, a data directory's can have more.
            self._folder = Path(tempfile.mkdtemp(prefix="aigc-generator-"))
            self._keeper = asyncio.create_task(self._keep())

    async def close(self) -> None:
        """End the process."""
        if self._keeper is not None:
            self._keeper.cancel()
            with suppress(asyncio.CancelledError):
                await self._keeper
            shutil.rmtree(self._folder, ignore_errors=True)

    async def _keep(self) -> None:
        pause = self._limits.restart_ms / 1000
        while True:
            began = asyncio.get_running_loop().time()
            try:
                await self._run_once()
            finally:
                self._ready.clear()
                self.pid = 0
                if self._channel is not None:
                    channel, self._channel = self._channel, None
                    await channel.close(None)
                await self._on_change(False)
            if asyncio.get_running_loop().time() - began > _STEADY_S:
                pause = self._limits.restart_ms / 1000
            await asyncio.sleep(pause)
            pause = min(_LONGEST_PAUSE_S, max(0.1, pause) * 2)

    async def _run_once(self) -> None:
        self.starts += 1
        socket = self._folder / f"{self.starts}.sock"
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "aigc_server.generator",
            str(self._home),
            str(socket),
            json.dumps(asdict(self._limits) | {"message_bytes": self._message_bytes, "trace": asdict(self._trace)}),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        self.pid = process.pid
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            line = await process.stdout.readline()
            if line:
                options = [
                    ("grpc.max_receive_message_length", self._message_bytes),
                    ("grpc.max_send_message_length", self._message_bytes),
                ]
                self._channel = grpc.aio.insecure_channel(f"unix:{socket}", options=options)
                self._ready.set()
                self._log.info("generator serves", pid=process.pid)
                await self._on_change(True)
            code = await process.wait()
            self._log.error("generator ended", pid=process.pid, code=code)
        finally:
            process.stdin.close()
            with suppress(TimeoutError):
                async with asyncio.timeout(_END_S):
                    await process.wait()
            if process.returncode is None:
                process.kill()
                await process.wait()
