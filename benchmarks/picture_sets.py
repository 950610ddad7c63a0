"""The picture sets that the benchmarks of generators learn from, and the network that looks at digits."""

from __future__ import annotations

import gzip
import io
import json
import os
import time
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import nn

from aigc.evaluate.generation.lenet import LeNet, trained_lenet
from aigc.generate.base import ImageData
from aigc.generate.task import Task
from aigc.training.options import TrainerOptions
from aigc.training.trainer import Trainer

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


def mnist() -> tuple[ImageData, ImageData]:
    """60,000 to learn from, 10,000 held out."""
    if not DATA.is_dir():
        raise SystemExit(f"needs the folder of real data at {DATA}")

    def read(name: str, head: int) -> np.ndarray:
        return np.frombuffer(gzip.decompress((DATA / "mnist" / name).read_bytes()), np.uint8, offset=head)

    digits = [str(d) for d in range(10)]
    train, test = (
        ImageData(
            read(f"{part}-images-idx3-ubyte.gz", 16).reshape(-1, 28, 28, 1),
            read(f"{part}-labels-idx1-ubyte.gz", 8).astype(np.int64),
            digits,
        )
        for part in ("train", "t10k")
    )
    return train, test


def emoji() -> tuple[np.ndarray, list[dict[str, object]]]:
    """(n, 32, 32, 4) uint8 and the entries of ``captions.jsonl`` in the same order."""
    if not DATA.is_dir():
        raise SystemExit(f"needs the folder of real data at {DATA}")
    with (DATA / "emoji" / "captions.jsonl").open(encoding="utf-8") as file:
        entries = [json.loads(line) for line in file]
    with zipfile.ZipFile(DATA / "emoji" / "png32.zip") as archive:
        pixels = [np.asarray(Image.open(io.BytesIO(archive.read(e["file"]))).convert("RGBA")) for e in entries]
    return np.stack(pixels), entries


def train(task: Task, options: TrainerOptions, folder: Path, say: int = 60) -> tuple[Mapping[str, nn.Module], float]:
    """The trained modules, averages in their place, and seconds; a line every ``say`` seconds.

    With AIGC_CPU_TIME in the environment the seconds are processor time ÷ threads: what the run would take on cores of
    its own, on a machine that others work on.
    """
    clock = time.monotonic
    if os.environ.get("AIGC_CPU_TIME"):
        threads = torch.get_num_threads()
        clock = lambda: time.process_time() / threads  # noqa: E731
    trainer = Trainer(task, options, folder, clock=clock)
    said = time.monotonic()
    for progress in trainer.train():
        if time.monotonic() - said > say or progress.event or progress.measures:
            said = time.monotonic()
            figures = {**progress.metrics, **progress.measures}
            words = ", ".join(f"{k} {v:.3f}" for k, v in figures.items())
            print(f"  {progress.seconds:5.0f} s, step {progress.step:,}: {progress.event}{words}", flush=True)
    return trainer.final_modules, trainer.state.seconds


def digit_network(train_set: ImageData, test_set: ImageData, work: Path) -> LeNet:
    """A LeNet of four epochs, from ``work`` when it is there."""

    def fit(task: Task) -> None:
        steps = 4 * len(train_set.pixels) // 128
        options = TrainerOptions(steps=steps, average_decay=0.0, log_every=200)
        train(task, options, work / f"lenet-run-{time.time_ns()}")

    return trained_lenet(train_set, test_set, work / "networks", fit)
