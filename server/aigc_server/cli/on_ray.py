"""``aigc ray``."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import click

from aigc_server.cli.options import home_options, settings_of

__all__ = ["ray_group"]


@click.group("ray")
def ray_group() -> None:
    r"""Serve on a Ray cluster: several replicas on several nodes, behind Ray Serve's gRPC proxies.

    \b
      pip install 'aigc[ray]'                        # on every node
      ray start --head                               # on the first node
      ray start --address HEAD:6379                  # on the others
      AIGC_STORE__URL=postgresql://aigc@db/aigc aigc ray serve --home /mnt/aigc --replicas 4

    Every replica opens the data directory, which all nodes must see under the same path, and maps its snapshot. What
    replicas write, events above all, needs PostgreSQL (store.url); on SQLite they only read. Training on the cluster is
    `aigc generator train … --ray-workers 2`.
    """


@ray_group.command("serve")
@click.option("--address", help="Of the cluster.  [default: $RAY_ADDRESS, this machine's, or a new one]")
@click.option("--replicas", default=2, help="That Serve keeps running, spread over the nodes.")
@click.option("--cpus", default=1.0, help="That each replica asks of its node.")
@click.option("--port", default=9000, help="Of the gRPC proxies, on all interfaces of every node that has a replica.")
@click.option("--http-port", default=8000, help="Of Serve's HTTP proxies on loopback, for /-/healthz alone.")
@click.option("--health-seconds", default=1.0, help="How often Serve looks whether a replica lives.")
@click.option("--detach", is_flag=True, help="Return once it serves; `serve shutdown` ends it.")
@home_options
def serve_command(
    address: str | None,
    replicas: int,
    cpus: float,
    port: int,
    http_port: int,
    health_seconds: float,
    detach: bool,
    home: str | None,
    config: Path | None,
) -> None:
    r"""Serve the API from replicas on a Ray cluster until SIGTERM or Ctrl-C.

    The methods are those of `aigc serve` that need one data directory alone: recommendations, events, items, profiles,
    an operator's calls, health and reflection. Errors have the same status, message and details. Generators, jobs and
    promotions stay with `aigc serve`, which may run beside this on the same PostgreSQL.

    \b
      aigc ray serve --replicas 2                    # no cluster: one of this machine, which ends with the command
      aigc ray serve --address auto --replicas 8 --cpus 0.5
      grpcurl -plaintext -d '{"user_id": "1", "n": 5}' NODE:9000 aigc.v1.RecommendationService/Recommend

    Clients should know several nodes and try UNAVAILABLE again, as proto/aigc/v1/aigc_v1_service_config.json does: then
    the loss of a node costs no call.
    """
    from aigc_server.ray.application import ReplicaOptions
    from aigc_server.ray.serving import ServeOptions, serve_on_ray

    settings, folder = settings_of(home, config)
    wanted = ReplicaOptions(replicas, cpus, health_seconds)

    def ready() -> None:
        writes = "PostgreSQL" if settings.store.url else "reading only: SQLite"
        click.echo(f"serving on port {port} with {replicas} replicas (data in {folder}, {writes})")

    serve_on_ray(settings, folder.absolute(), wanted, ServeOptions(address or "", port, http_port, detach), ready)
    click.echo("left running; `serve shutdown` ends it" if detach else "stopped")


@ray_group.command("config")
@click.option("--replicas", default=2, help="That Serve keeps running, spread over the nodes.")
@click.option("--cpus", default=1.0, help="That each replica asks of its node.")
@click.option("--port", default=9000, help="Of the gRPC proxies.")
@click.option("--health-seconds", default=1.0, help="How often Serve looks whether a replica lives.")
@home_options
def config_command(
    replicas: int, cpus: float, port: int, health_seconds: float, home: str | None, config: Path | None
) -> None:
    """Print a configuration for `serve deploy` and for KubeRay's RayService."""
    from aigc_server.ray.application import NAME, ReplicaOptions
    from aigc_server.ray.proxy import SERVICER_FUNCTION

    _, folder = settings_of(home, config)
    wanted = asdict(ReplicaOptions(replicas, cpus, health_seconds))
    args = {"home": str(folder.absolute())} | ({"config": str(config.absolute())} if config else {}) | wanted
    # A value in JSON is one in YAML, whatever is in a path.
    lines = "\n".join(f"      {name}: {json.dumps(value)}" for name, value in args.items())
    click.echo(
        f"""proxy_location: EveryNode
grpc_options:
  port: {port}
  grpc_servicer_functions:
    - {SERVICER_FUNCTION}
applications:
  - name: {NAME}
    route_prefix: /{NAME}
    import_path: aigc_server.ray.application:build
    args:
{lines}"""
    )
