"""``aigc serve`` and ``aigc train``."""

from __future__ import annotations

import time
from pathlib import Path

import click

from aigc_server.app import App
from aigc_server.cli.options import home_options, opened, settings_of
from aigc_server.cli.output import progress_bar
from aigc_server.lifecycle import serve
from aigc_server.logs import configure_logs

__all__ = ["serve_command", "train_command"]


@click.command("serve")
@click.option(
    "--listen", metavar="HOST:PORT", help="The gRPC port; port 0 lets the system choose.  [default: 127.0.0.1:50051]"
)
@click.option("--metrics", metavar="HOST:PORT", help="Prometheus' page.  [default: none]")
@click.option(
    "--log-format", type=click.Choice(["json", "text"]), help="Of the log on standard error.  [default: json]"
)
@click.option("--log-level", type=click.Choice(["debug", "info", "warning", "error"]), help="[default: info]")
@home_options
def serve_command(
    listen: str | None,
    metrics: str | None,
    log_format: str | None,
    log_level: str | None,
    home: str | None,
    config: Path | None,
) -> None:
    """Serve the API over gRPC until SIGTERM or Ctrl-C, then drain and end.

    A snapshot that `aigc train` publishes meanwhile, and edited strategy files, are picked up within a second.
    """
    settings, folder = settings_of(
        home,
        config,
        server__listen=listen,
        server__metrics_listen=metrics,
        log__format=log_format,
        log__level=log_level,
    )
    configure_logs(settings.log)

    def ready(app: App) -> None:
        host = app.settings.listen.rpartition(":")[0]
        snapshot = app.platform.live.serving.snapshot_id or "none yet: run `aigc train`"
        click.echo(f"serving on {host}:{app.port} (data in {folder}, snapshot {snapshot})")
        if app.metrics_port:
            click.echo(f"metrics on port {app.metrics_port}")
        for problem in app.platform.problems():
            click.echo(f"warning: {problem}", err=True)

    serve(settings, folder, ready)
    click.echo("stopped")


@click.command("train")
@home_options
def train_command(home: str | None, config: Path | None) -> None:
    """Train the models on everything stored and publish a snapshot. A running server picks it up by itself."""
    started = time.perf_counter()
    with opened(home, config, read_only=True) as platform, progress_bar("training") as bar:
        stage, since = "", started
        snapshot_id = ""
        for step in platform.build():
            bar.at(step.fraction, step.stage)
            now = time.perf_counter()
            if step.stage != stage:
                if stage:
                    click.echo(f"  {stage}: {now - since:.2f} s")
                stage, since = step.stage, now
            snapshot_id = step.snapshot_id
        manifest = platform.snapshots.open(snapshot_id, verify=False).manifest
    counts = manifest.counts
    click.echo(
        f"published {snapshot_id}: {counts['items']:,} items, {counts['users']:,} users, {counts['events']:,} events, "
        f"{manifest.bytes / 1e6:.1f} MB in {time.perf_counter() - started:.1f} s"
    )
