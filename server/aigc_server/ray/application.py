"""The application that Serve deploys."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aigc.errors import InvalidInputError
from aigc.option_tree import build_options
from aigc_server.ray.extra import need_ray
from aigc_server.ray.replica import Replica
from aigc_server.settings import Settings, home_folder, load_settings

if TYPE_CHECKING:
    from ray import serve

__all__ = ["NAME", "ReplicaOptions", "application", "build"]

NAME = "aigc"
_SPARE = 64


@dataclass(frozen=True, slots=True)
class ReplicaOptions:
    """How many replicas, and what each is given.

    Attributes:
        replicas: Serve keeps as many, spread over the nodes, and starts another where one is lost.
        cpus: That each asks of its node; a share is allowed.
        health_seconds: How often Serve asks whether a replica lives; so long may a loss go unnoticed.
    """

    replicas: int = 2
    cpus: float = 1.0
    health_seconds: float = 1.0

    def __post_init__(self) -> None:
        """Refuse values without a meaning."""
        if self.replicas < 1:
            raise InvalidInputError(f"replicas is {self.replicas}; give at least 1", field="replicas")
        if self.cpus < 0:
            raise InvalidInputError(f"cpus is {self.cpus}; give 0 or more", field="cpus")
        if self.health_seconds <= 0:
            raise InvalidInputError(
                f"health_seconds is {self.health_seconds}; give more than 0", field="health_seconds"
            )


def application(settings: Settings, home: Path, options: ReplicaOptions) -> serve.Application:
    """The application over a data directory that every node sees under the same path.

    Raises:
        InvalidInputError: The settings want TLS, which Serve's gRPC proxies do not speak.
        UnavailableError: The extra is not installed.
    """
    if settings.server.tls.certificate:
        raise InvalidInputError(
            "Ray Serve's gRPC proxies speak no TLS; leave server.tls empty here, and let only a proxy that asks for "
            "certificates reach their port",
            field="server.tls.certificate",
        )
    need_ray()
    from ray import serve

    # One call more than a replica lets in: it, not Serve, says when it is full, and when to try again.
    most = settings.server.max_concurrent + settings.server.max_waiting
    # Its type stubs take the decorator for one of functions.
    deployment: Any = serve.deployment(Replica)
    deployment = deployment.options(
        name=NAME,
        num_replicas=options.replicas,
        max_ongoing_requests=most + _SPARE,
        max_queued_requests=most,
        ray_actor_options={"num_cpus": options.cpus},
        health_check_period_s=options.health_seconds,
        health_check_timeout_s=max(10.0, 3 * options.health_seconds),
        # Each call has a line of ours already.
        logging_config={"enable_access_log": False, "log_level": "WARNING"},
        graceful_shutdown_wait_loop_s=0.5,
        graceful_shutdown_timeout_s=max(1.0, settings.server.drain_ms / 1000),
    )
    bound: serve.Application = deployment.bind(settings, str(home))
    return bound


def build(args: Mapping[str, Any]) -> serve.Application:
    """For ``import_path: aigc_server.ray.application:build`` in a Serve config.

    Args:
        args: ``home``, ``config`` and the attributes of :class:`ReplicaOptions`.
    """
    rest = dict(args)
    home = home_folder(rest.pop("home", None))
    config = rest.pop("config", None)
    settings = load_settings(home, config=Path(config) if config else None)
    return application(settings, home, build_options(ReplicaOptions, rest, "args."))
