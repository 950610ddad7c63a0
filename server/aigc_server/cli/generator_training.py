"""``aigc generator train``."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from aigc.errors import ConflictError
from aigc.generate.repository import ModelRepository, check_name
from aigc.profiles.weights import EventWeights
from aigc.store.sql import open_store
from aigc.training.data_source import DataChoice
from aigc.training.job_folder import run_lock
from aigc.training.run_spec import RunSpec
from aigc_server.cli.generator_recipes import catalogue_options, liked_options, parse_liked, parse_set, set_option
from aigc_server.cli.options import home_options, settings_of
from aigc_server.cli.ray_options import ray_options

if TYPE_CHECKING:
    from aigc.training.run import TrainingRun
    from aigc_server.ray.training import RayRun

__all__ = ["train_command"]

_EVERY_S = 10.0


@click.command("train")
@click.argument("kind")
@click.option("--name", required=True, help="Of the model; each training makes a new version of it.")
@click.option(
    "--data",
    metavar="PATH",
    help="Learn from a file or folder: pictures (folder, zip, IDX; captions.jsonl names them), recordings (folder, "
    "zip), texts (.txt, .csv, .jsonl, .parquet; a column of turns makes dialogues).  [default: the catalogue]",
)
@set_option
@catalogue_options
@liked_options
@click.option(
    "--folder",
    type=click.Path(path_type=Path),
    help="Of checkpoints, curves and sample sheets.  [default: HOME/runs/NAME/1, 2, …]",
)
@click.option("--threads", type=click.IntRange(1), help="Of the processor.  [default: all]")
@ray_options
@home_options
def train_command(
    kind: str,
    name: str,
    data: str | None,
    settings: tuple[str, ...],
    item_kinds: tuple[str, ...],
    categories: tuple[str, ...],
    include_generated: bool,
    from_model: str,
    liked: bool,
    liked_by: int | None,
    liked_days: float | None,
    liked_users: tuple[str, ...],
    folder: Path | None,
    threads: int | None,
    ray_workers: int,
    ray_address: str | None,
    ray_cpus: float,
    ray_gpu: bool,
    home: str | None,
    config: Path | None,
) -> None:
    r"""Train a generator of KIND and keep it as a new version of the model NAME.

    \b
      aigc generator train gan --name digits --data mnist/ --set trainer.steps=2000
      aigc generator train caption-gan --name emoji --data emoji/
      aigc generator train gpt --name poems --data poems.jsonl.gz --set trainer.max_seconds=1200
      aigc generator train gpt --name talk --data dialogues/ --set gpt.base=poems
      aigc generator train gan --name digits --from digits --liked --liked-by 3 --set trainer.steps=500

    Ctrl-C writes a checkpoint and ends. The same command goes on from the last checkpoint, also after a kill or a loss
    of power, and ends with the same weights as if nothing had happened. Several processes share the work under
    torchrun:

    \b
      torchrun --nproc-per-node 2 -m aigc_server.cli generator train gan --name digits …

    or on a Ray cluster, where a lost worker is replaced (pip install 'aigc[ray]'; all nodes see the same paths):

    \b
      aigc generator train gan --name digits … --ray-workers 2
    """
    tree, root = settings_of(home, config)
    check_name(name, "name")
    repository = ModelRepository(root / "models")
    wanted = parse_liked(liked, liked_by, liked_days, liked_users)
    choice = DataChoice(data or "", item_kinds, categories, include_generated, wanted)
    spec = RunSpec.checked(
        kind,
        name,
        parse_set(settings),
        choice,
        repository,
        threads=threads or (max(1, int(ray_cpus)) if ray_workers else _threads()),
        from_model=from_model,
    )
    folder = folder or _folder_for(spec, root / "runs" / name)
    spec = spec.resuming(folder)
    url = tree.store.url or f"sqlite:///{root / 'aigc.sqlite'}"

    if ray_workers:
        from aigc_server.ray.training import Order, RayRun, WorkerOptions

        order = Order(folder.absolute(), spec, (root / "models").absolute(), url, dict(tree.events.weights))
        workers = WorkerOptions(ray_workers, ray_address or "", ray_cpus, ray_gpu)
        with _stop_signals() as stopping:
            _lead(
                RayRun(order, workers, stop=lambda: bool(stopping)),
                repository,
                folder,
                f" by {ray_workers} Ray workers",
            )
        return

    # Torch takes seconds to load: mistakes are told before.
    from aigc.training.processes import joined
    from aigc.training.run import TrainingRun

    with joined() as processes, _stop_signals() as stopping:
        run = TrainingRun(
            folder,
            spec,
            repository,
            lambda: open_store(url, read_only=True),
            processes=processes,
            stop=lambda: bool(stopping),
            weights=EventWeights(dict(tree.events.weights)),
        )
        if processes.leads:
            _lead(run, repository, folder, f" in {processes.world} processes" if processes.world > 1 else "")
        else:
            for _ in run.train():
                pass


def _lead(run: TrainingRun | RayRun, repository: ModelRepository, folder: Path, words: str) -> None:
    """Train, show how it goes, and tell what came of it."""
    folder.mkdir(parents=True, exist_ok=True)
    with _alone(folder):
        click.echo(f"training {run.spec.kind} {run.spec.model!r}{words}; checkpoints, curves and samples in {folder}")
        started = time.monotonic()
        _show(run)
    if run.stopped:
        click.echo("stopped; the same command goes on from here")
        sys.exit(130)
    _report(run, repository, folder, time.monotonic() - started)


def _show(run: TrainingRun | RayRun) -> None:
    """The bar on a terminal; a line now and then elsewhere."""
    terminal = sys.stderr.isatty()
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[losses]}"),
        TextColumn("{task.fields[left]}"),
    )
    said = 0.0
    with Progress(*columns, console=Console(stderr=True), transient=True, disable=not terminal) as bar:
        task = bar.add_task(run.spec.model, total=None, losses="", left="")
        for progress in run.train():
            if progress.event:
                bar.console.print(f"step {progress.step:,}: {progress.event}", highlight=False, markup=False)
            if progress.measures:
                words = _numbers(progress.measures)
                sheet = f"; {progress.sheet}" if progress.sheet else ""
                bar.console.print(
                    f"step {progress.step:,}: {words}{sheet}", highlight=False, markup=False, soft_wrap=True
                )
            bar.update(task, completed=progress.step, total=progress.steps)
            if progress.metrics:
                losses = _numbers({k: v for k, v in progress.metrics.items() if k.endswith("loss")} or progress.metrics)
                left = f"{_time(progress.seconds_left)} left"
                bar.update(task, losses=losses, left=left)
                if not terminal and time.monotonic() - said > _EVERY_S:
                    said = time.monotonic()
                    click.echo(f"step {progress.step:,} of {progress.steps:,}: {losses}; {left}", err=True)


def _report(run: TrainingRun | RayRun, repository: ModelRepository, folder: Path, seconds: float) -> None:
    info = repository.get(run.made)
    click.echo(f"made {info.id} ({info.bytes / 1e6:.1f} MB) in {_time(seconds)}; {_numbers(info.measures)}")
    click.echo(f"model    {repository.folder(info)}")
    if (folder / "curves.png").exists():
        click.echo(f"curves   {folder / 'curves.png'}")
    sheets = sorted((folder / "samples").iterdir()) if (folder / "samples").is_dir() else []
    if sheets:
        click.echo(f"samples  {sheets[-1]}")
    command, champion = "show" if info.kind == "bert" else "sample", "champion" in info.aliases
    click.echo(f"next: aigc generator {command} {info.name if champion else info.id}")
    if not champion:
        serving = repository.get(info.name).version
        click.echo(f"version {serving} serves; have this one tried: aigc generator promote {info.name} {info.version}")


def _folder_for(spec: RunSpec, root: Path) -> Path:
    """The newest run of just this training that was not finished, or a new one."""
    numbers = sorted(int(p.name) for p in root.iterdir() if p.name.isdigit()) if root.is_dir() else []
    for number in reversed(numbers):
        folder = root / str(number)
        if not (folder / "made.json").exists():
            with suppress(ConflictError):
                spec.resuming(folder)
                return folder
    return root / str((numbers or [0])[-1] + 1)


def _threads() -> int:
    told = os.environ.get("OMP_NUM_THREADS", "")
    return int(told) if told.isdigit() and int(told) else len(os.sched_getaffinity(0))


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    lock = run_lock(folder, wait=False)
    if lock < 0:
        raise ConflictError(
            f"another process trains in {folder}; wait for it, or give another --folder", reason="RUN_LOCKED"
        )
    try:
        yield
    finally:
        os.close(lock)


@contextmanager
def _stop_signals() -> Iterator[list[int]]:
    """A list that is empty until the first SIGINT or SIGTERM; a second one ends at once."""
    stopping: list[int] = []

    def stop(number: int, _: FrameType | None) -> None:
        if stopping:
            raise KeyboardInterrupt
        stopping.append(number)
        click.echo("stopping after this step; once more to end at once", err=True)

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stopping
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _numbers(values: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {value:.4g}" for name, value in values.items())


def _time(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
