"""``aigc status``, ``doctor`` and ``snapshot``."""

from __future__ import annotations

import json
import shutil
import sqlite3
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import click

from aigc import kernel
from aigc.errors import AigcError
from aigc.index.manifest import read_manifest
from aigc.index.snapshot import SnapshotFolder
from aigc.recommend.strategy_book import StrategyBook
from aigc.recommend.train import FLAGGED_USERS
from aigc.store.connect import parse_url
from aigc.store.sql import open_store
from aigc_server.cli.options import home_options, opened, settings_of
from aigc_server.cli.output import print_json

__all__ = ["doctor_command", "snapshot_group", "status_command"]


@click.command("status")
@click.option("--json", "as_json", is_flag=True, help="JSON for a program.")
@home_options
def status_command(as_json: bool, home: str | None, config: Path | None) -> None:
    """Say what is stored, what is published, and which strategies are in force."""
    with opened(home, config, read_only=True) as platform:
        status, strategies = platform.admin.status(), platform.admin.strategies()
        experiment = platform.strategies.experiment
    if as_json:
        print_json(asdict(status) | {"strategies": [asdict(s) for s in strategies]})
        return
    click.echo(f"data      {platform.home}")
    click.echo(f"stored    {status.items:,} items, {status.events:,} events of {status.users:,} users")
    if status.snapshot is None:
        click.echo("snapshot  none; build one with `aigc train`")
    else:
        s = status.snapshot
        age = (time.time() * 1000 - s.created_ms) / 60_000
        click.echo(
            f"snapshot  {s.id}, {age:,.0f} min old, {s.items:,} items, {s.users:,} users, {s.bytes / 1e6:.1f} MB"
        )
        click.echo(f"models    {', '.join(f'{n} {v}' for n, v in s.models.items())}")
        click.echo(f"since     {status.delta['events']:,} events, {status.delta['changed_items']:,} changed items")
    for strategy in strategies:
        click.echo(f"strategy  {strategy.name}: {strategy.description}")
    if experiment is not None:
        arms = ", ".join(f"{name} {share:.0%}" for name, share in experiment.arms.items())
        click.echo(f"split     {experiment.name}: {arms}")
    for problem in status.problems:
        click.echo(f"problem   {problem}")


@click.command("doctor")
@home_options
def doctor_command(home: str | None, config: Path | None) -> None:
    """Check the installation and the data directory; exit code 1 when something is wrong."""
    settings, folder = settings_of(home, config)
    snapshots = SnapshotFolder(folder / "snapshots")

    def store() -> str:
        url = settings.store.url or f"sqlite:///{folder / 'aigc.sqlite'}"
        opened_store = open_store(url, read_only=True)
        try:
            counts = opened_store.counts()
        finally:
            opened_store.close()
        return f"{parse_url(url).render_as_string()}: {counts.items:,} items, {counts.events:,} events"

    def snapshot() -> str:
        current = snapshots.open()
        return f"{current.manifest.id}: {len(current.manifest.files)} files match their checksums"

    def disk() -> str:
        free = shutil.disk_usage(folder if folder.exists() else folder.parent).free
        if free < 1e9:
            raise AigcError(f"{free / 1e6:,.0f} MB free; a build needs several times the snapshot's size")
        return f"{free / 1e9:,.0f} GB free"

    checks: list[tuple[str, Callable[[], str]]] = [
        ("python", lambda: sys.version.split()[0]),
        ("kernel", lambda: f"{kernel.simd_level()} of {', '.join(kernel.simd_levels())}"),
        ("sqlite", lambda: f"system's {sqlite3.sqlite_version}"),
        ("settings", lambda: f"valid; listens on {settings.server.listen}"),
        ("disk", disk),
        ("store", store),
        ("snapshot", snapshot),
        ("strategies", lambda: ", ".join(s.name for s, _ in StrategyBook(folder / "strategies").all())),
    ]
    failed = 0
    for name, check in checks:
        try:
            click.echo(f"ok      {name:<10} {check()}")
        except (AigcError, OSError) as error:
            failed += 1
            click.echo(f"FAILED  {name:<10} {error}")
    if failed:
        raise click.exceptions.Exit(1)


@click.group("snapshot")
def snapshot_group() -> None:
    """List snapshots, publish an older one."""


@snapshot_group.command("list")
@home_options
def snapshot_list(home: str | None, config: Path | None) -> None:
    """List snapshots, the published one with a star."""
    _, folder = settings_of(home, config)
    snapshots = SnapshotFolder(folder / "snapshots")
    current = snapshots.current_id()
    for name in snapshots.ids():
        manifest = read_manifest(snapshots.root / name)
        star = "*" if name == current else " "
        click.echo(f"{star} {name}  {manifest.counts['items']:,} items  {manifest.bytes / 1e6:.1f} MB")


@snapshot_group.command("flagged")
@home_options
def snapshot_flagged(home: str | None, config: Path | None) -> None:
    """List the users that the published snapshot's training left out, and why."""
    _, folder = settings_of(home, config)
    snapshots = SnapshotFolder(folder / "snapshots")
    path = snapshots.root / snapshots.current_id() / FLAGGED_USERS
    flagged = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else []
    for user in flagged:
        click.echo(f"{user['user_id']}  {user['kind']}: {user['evidence']}")
    click.echo(f"{len({user['user_id'] for user in flagged}):,} users behave like programs")


@snapshot_group.command("publish")
@click.argument("snapshot_id")
@home_options
def snapshot_publish(snapshot_id: str, home: str | None, config: Path | None) -> None:
    """Verify SNAPSHOT_ID and make it the one that is served; a running server follows within a second."""
    _, folder = settings_of(home, config)
    snapshots = SnapshotFolder(folder / "snapshots")
    snapshots.open(snapshot_id)
    snapshots.publish(snapshot_id)
    click.echo(f"published {snapshot_id}")


@snapshot_group.command("verify")
@click.argument("snapshot_id", default="")
@home_options
def snapshot_verify(snapshot_id: str, home: str | None, config: Path | None) -> None:
    """Compare every file of SNAPSHOT_ID (the published one by default) with its checksum."""
    _, folder = settings_of(home, config)
    opened_snapshot = SnapshotFolder(folder / "snapshots").open(snapshot_id)
    click.echo(f"{opened_snapshot.manifest.id}: {len(opened_snapshot.manifest.files)} files match")
