"""The peer: a grpc.aio server that answers every call with the same bytes. ``python peer.py REPLY_FILE PORT_FILE``."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any

import grpc


def constant(reply: bytes) -> grpc.GenericRpcHandler:
    """Whatever RecommendationService is asked, this is said."""

    async def answer(_request: bytes, _context: Any) -> bytes:
        return reply

    handler = grpc.unary_unary_rpc_method_handler(answer)
    return grpc.method_handlers_generic_handler("aigc.v1.RecommendationService", {"Recommend": handler})


async def main() -> None:
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((constant(Path(sys.argv[1]).read_bytes()),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    Path(sys.argv[2]).write_text(str(port))
    await server.wait_for_termination()


if __name__ == "__main__":
    asyncio.run(main())
