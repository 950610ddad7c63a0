"""``python -m aigc_server.generator HOME SOCKET LIMITS``: started by the server, ends when standard input closes."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from pathlib import Path

from aigc.quiet_work import stand_back
from aigc.services.generation_limits import GenerationLimits
from aigc_server.generator.app import GeneratorApp
from aigc_server.logs import configure_logs
from aigc_server.settings import LogSettings, TraceSettings


def main() -> None:
    """Serve until the parent is gone."""
    home, socket, told = Path(sys.argv[1]), sys.argv[2], json.loads(sys.argv[3])
    message_bytes, trace = told.pop("message_bytes"), TraceSettings(**told.pop("trace"))
    limits = GenerationLimits(**told)
    # A terminal's Ctrl-C and a service manager's SIGTERM go to all processes; the texts of the drain need this one.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    stand_back(limits.niceness, idle=limits.niceness == 19)
    configure_logs(LogSettings(level="warning"))
    asyncio.run(_serve(home, socket, limits, message_bytes, trace))


async def _serve(home: Path, socket: str, limits: GenerationLimits, message_bytes: int, trace: TraceSettings) -> None:
    app = GeneratorApp(home, limits, message_bytes, trace)
    await app.start(f"unix:{socket}")
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    await reader.read()
    await app.stop()


if __name__ == "__main__":
    main()
