"""The generator process's figures on the page of the process that serves."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import grpc
from prometheus_client.core import Metric
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

from aigc_server.metrics import Metrics

__all__ = ["GeneratorPage", "page_handler"]

_SERVICE, _METHOD = "internal.Metrics", "Read"
_WAIT_S = 1.0


def page_handler(metrics: Metrics) -> grpc.GenericRpcHandler[Any, Any]:
    """Gives the page to the process at the other end of the socket; nobody else can reach it."""

    async def read(request: bytes, context: Any) -> bytes:
        del request, context
        return metrics.page()

    handler: Any = grpc.unary_unary_rpc_method_handler(read)
    return grpc.method_handlers_generic_handler(_SERVICE, {_METHOD: handler})


class GeneratorPage(Collector):
    """What the generator process counts; nothing while it does not run."""

    def __init__(self, address: Callable[[], str]) -> None:
        """Args: address: where the process listens now, empty while it does not."""
        self._address = address

    def describe(self) -> Iterable[Metric]:
        """Nothing, so that registering asks nobody."""
        return ()

    def collect(self) -> Iterable[Metric]:
        """What the process answers within a second."""
        address = self._address()
        if not address:
            return
        with grpc.insecure_channel(address) as opened:
            channel: Any = opened
            call = channel.unary_unary(f"/{_SERVICE}/{_METHOD}")
            try:
                page: bytes = call(b"", timeout=_WAIT_S)
            except grpc.RpcError:
                return
        yield from text_string_to_metric_families(page.decode())
