"""Server reflection that finds methods too."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from google.protobuf import descriptor_pool
from google.protobuf.descriptor import FileDescriptor
from grpc_reflection.v1alpha import reflection

__all__ = ["enable_reflection"]


class MethodPool:
    """The pool of all descriptors. Protobuf's own finds no file by a method's name, which ghz and grpcurl ask for."""

    def __init__(self, pool: Any) -> None:
        """Args: pool: the one that is asked."""
        self._pool = pool

    def FindFileContainingSymbol(self, symbol: str) -> FileDescriptor:  # noqa: N802 (protobuf's name)
        """The file; of a method, its service's. Raises KeyError for an unknown symbol."""
        try:
            return self._pool.FindFileContainingSymbol(symbol)  # type: ignore[no-any-return]
        except KeyError:
            service = self._pool.FindServiceByName(symbol.rpartition(".")[0])
            if symbol.rpartition(".")[2] not in service.methods_by_name:
                raise
            return service.file  # type: ignore[no-any-return]

    def __getattr__(self, name: str) -> Any:
        return getattr(self._pool, name)


def enable_reflection(names: Sequence[str], server: Any) -> None:
    """Let clients ask what these services are."""
    names = (*names, reflection.SERVICE_NAME)
    pool: Any = MethodPool(descriptor_pool.Default())
    reflection.enable_server_reflection(names, server, pool=pool)
