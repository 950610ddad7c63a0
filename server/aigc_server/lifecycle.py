"""A server's life: start, serve until a signal, drain, end."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import signal
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from aigc.services.platform import Platform
from aigc_server.app import App, open_platform
from aigc_server.settings import Settings

__all__ = ["serve"]


def serve(settings: Settings, home: Path, ready: Callable[[App], None]) -> None:
    """Serve until SIGTERM or SIGINT, report NOT_SERVING for a while, then drain; a second signal ends the while.

    Args:
        settings: The whole tree.
        home: The data directory; ``server.json`` there says where the server listens.
        ready: Called once calls are accepted.
    """
    platform = open_platform(settings, home, watch=True)
    try:
        asyncio.run(_serve(platform, settings, home, ready))
    finally:
        platform.close()


async def _serve(platform: Platform, settings: Settings, home: Path, ready: Callable[[App], None]) -> None:
    # gRPC binds a server to the loop that runs when it is made.
    app = App(platform, settings)
    ended, hurried = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()

    def signalled() -> None:
        (hurried if ended.is_set() else ended).set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, signalled)
    await app.start()
    # What is there by now stays: it is not to be looked through again for garbage. Events come and go by the thousand,
    # and hold no cycles.
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)
    note = home / "server.json"
    host = app.settings.listen.rpartition(":")[0]
    note.write_text(json.dumps({"pid": os.getpid(), "address": f"{host}:{app.port}"}) + "\n", encoding="utf-8")
    try:
        ready(app)
        await ended.wait()
        note.unlink(missing_ok=True)
        app.leave()
        with suppress(TimeoutError):
            await asyncio.wait_for(hurried.wait(), app.settings.notice_ms / 1000)
    finally:
        note.unlink(missing_ok=True)
        await app.stop()
