"""The peer: a grpc.aio server that answers every call with the same bytes. ``python peer.py REPLY_FILE PORT_FILE``."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any

import grpc


class Constant(grpc.GenericRpcHandler):
    """Whatever is asked, this is said."""

    def __init__(self, reply: bytes) -> None:
        async def answer(request: bytes, context: Any) -> bytes:
            return reply

        self._handler = grpc.unary_unary_rpc_method_handler(answer)

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Any:
        return self._handler


async def main() -> None:
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((Constant(Path(sys.argv[1]).read_bytes()),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    Path(sys.argv[2]).write_text(str(port))
    await server.wait_for_termination()


if __name__ == "__main__":
    asyncio.run(main())
