"""``aigc ray serve``: join or begin a cluster, have Serve run the application, and end it with the command."""

from __future__ import annotations

import logging
import math
import os
import signal
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from aigc.errors import ConflictError, InvalidInputError, UnavailableError
from aigc_server.ray.application import NAME, ReplicaOptions, application
from aigc_server.ray.extra import need_ray
from aigc_server.ray.proxy import SERVICER_FUNCTION
from aigc_server.settings import Settings

if TYPE_CHECKING:
    from ray import serve

__all__ = ["ServeOptions", "join_cluster", "serve_on_ray"]

_CONTROLLER = "SERVE_CONTROLLER_ACTOR"
# Messages do not go through it; Ray would take a third of the memory.
_OBJECT_STORE_BYTES = 100_000_000
_REACH_S = 5.0


@dataclass(frozen=True, slots=True)
class ServeOptions:
    """Where it runs.

    Attributes:
        address: Of the cluster, as Ray names it; ``local`` for a new one of this machine alone, which ends with the
            command; empty for the one of ``RAY_ADDRESS`` or of this machine, or else a new one.
        port: Of the gRPC proxies, on every node that has a replica and on the head.
        http_port: Of Serve's HTTP proxies, which answer nothing but ``/-/healthz``.
        detach: Leave it running and return.
    """

    address: str = ""
    port: int = 9000
    http_port: int = 8000
    detach: bool = False

    def __post_init__(self) -> None:
        """Refuse ports that are none."""
        for name in ("port", "http_port"):
            if not 1 <= getattr(self, name) <= 65_535:
                raise InvalidInputError(f"{name} is {getattr(self, name)}; give 1 to 65535", field=name)


def join_cluster(address: str, cpus: float, *, log: bool = True) -> None:
    """Connect this process to a cluster.

    Args:
        address: See :class:`ServeOptions`.
        cpus: That a new cluster must have at least.
        log: Whether what the cluster's processes write appears here.

    Raises:
        UnavailableError: The extra is not installed, or no cluster answers there.
    """
    need_ray()
    import ray

    handler = signal.getsignal(signal.SIGTERM)
    address = address or os.environ.get("RAY_ADDRESS", "")
    try:
        if address != "local":
            _look_for(address)
            try:
                ray.init(address=address or "auto", log_to_driver=log)
                return
            except ConnectionError:
                if address:
                    raise
        ray.init(
            address="local",
            num_cpus=max(os.cpu_count() or 1, math.ceil(cpus)),
            include_dashboard=False,
            object_store_memory=_OBJECT_STORE_BYTES,
            log_to_driver=log,
        )
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise UnavailableError(
            f"no Ray cluster can be joined ({error}); begin one with `ray start --head`, give another address, or set "
            "RAY_AUTH_MODE=token where it asks for one",
            reason="NO_CLUSTER",
        ) from error
    finally:
        # Ray would end the process at once.
        signal.signal(signal.SIGTERM, handler)


def _look_for(address: str) -> None:
    """Ray itself would try a wrong address for minutes. Raises ConnectionError."""
    if address.startswith("ray://"):
        raise ConnectionError("ray:// is Ray Client, which this does not use; run this on a node of the cluster")
    host, _, port = address.rpartition(":")
    if port.isdigit() and "/" not in host:
        try:
            socket.create_connection((host, int(port)), timeout=_REACH_S).close()
        except OSError as error:
            raise ConnectionError(f"nothing answers at {address}: {error.strerror or error}") from error


def serve_on_ray(
    settings: Settings, home: Path, replicas: ReplicaOptions, options: ServeOptions, ready: Callable[[], None]
) -> None:
    """Serve until SIGTERM or SIGINT, then drain; or leave it running.

    Raises:
        InvalidInputError: See :func:`application`.
        UnavailableError: See :func:`join_cluster`; or no replica starts.
        ConflictError: Serve runs on the cluster without this application; a port is taken.
    """
    wanted = application(settings, home, replicas)
    join_cluster(options.address, replicas.replicas * replicas.cpus)
    import ray
    from ray import serve

    logging.getLogger("ray.serve").setLevel(logging.WARNING)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        running = _serve_runs()
        if running and NAME not in serve.status().applications:
            raise ConflictError(
                "Serve runs on this cluster already, and its proxies keep the methods that they began with; add what "
                "`aigc ray config` prints to its configuration, or end it with `serve shutdown`",
                reason="SERVE_RUNNING",
            )
        try:
            _deploy(wanted, options)
        except BaseException:
            # Serve would try for ever.
            if not running:
                serve.shutdown()  # type: ignore[no-untyped-call]
            raise
        ready()
        if not options.detach:
            with suppress(KeyboardInterrupt):
                threading.Event().wait()
            serve.shutdown()  # type: ignore[no-untyped-call]
    finally:
        ray.shutdown()


def _deploy(wanted: serve.Application, options: ServeOptions) -> None:
    from ray import serve
    from ray.serve.config import HTTPOptions, gRPCOptions

    try:
        serve.start(
            proxy_location="EveryNode",
            http_options=HTTPOptions(host="127.0.0.1", port=options.http_port),
            grpc_options=gRPCOptions(port=options.port, grpc_servicer_functions=[SERVICER_FUNCTION]),
            logging_config={"log_level": "WARNING"},
        )
    except RuntimeError as error:
        raise ConflictError(
            f"no proxy starts ({_last_line(str(error))}); end what uses the port, or give others with --port and "
            "--http-port",
            reason="PORT_IN_USE",
        ) from error
    try:
        # Without a route there would be no endpoint, for gRPC neither.
        serve.run(wanted, name=NAME, route_prefix=f"/{NAME}")
    except RuntimeError as error:
        made = serve.status().applications.get(NAME)
        told = "".join(deployment.message for deployment in made.deployments.values()) if made else ""
        raise UnavailableError(
            f"no replica starts ({_last_line(told or str(error))}); what each wrote is in Ray's logs",
            reason="REPLICA_FAILS",
        ) from error


def _last_line(traceback: str) -> str:
    """What was raised."""
    return traceback.strip().rpartition("\n")[2]


def _serve_runs() -> bool:
    import ray

    try:
        ray.get_actor(_CONTROLLER, namespace="serve")
    except ValueError:
        return False
    return True
