"""A grpcio server that answers every Recommend with the same bytes: ``constant_server.py aio|sync PORT BYTES``."""

from __future__ import annotations

import asyncio
import sys
from concurrent.futures import ThreadPoolExecutor

import grpc

METHOD = "/aigc.v1.RecommendationService/Recommend"


class Constant(grpc.GenericRpcHandler):
    """The same bytes for every call."""

    def __init__(self, answer: bytes, *, aio: bool) -> None:
        async def later(_request: bytes, _context: object) -> bytes:
            return answer

        def now(_request: bytes, _context: object) -> bytes:
            return answer

        self._handler = grpc.unary_unary_rpc_method_handler(later if aio else now)

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> object:
        """The handler of the one method."""
        return self._handler if handler_call_details.method == METHOD else None


async def serve_aio(address: str, answer: bytes) -> None:
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((Constant(answer, aio=True),))
    server.add_insecure_port(address)
    await server.start()
    await server.wait_for_termination()


def serve_sync(address: str, answer: bytes) -> None:
    server = grpc.server(ThreadPoolExecutor(8))
    server.add_generic_rpc_handlers((Constant(answer, aio=False),))
    server.add_insecure_port(address)
    server.start()
    server.wait_for_termination()


if __name__ == "__main__":
    kind, port, size = sys.argv[1:]
    if kind == "aio":
        asyncio.run(serve_aio(f"127.0.0.1:{port}", b"x" * int(size)))
    else:
        serve_sync(f"127.0.0.1:{port}", b"x" * int(size))
