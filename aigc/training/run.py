"""A run from its data to the model in the repository; called again after a kill, it goes on where it stopped."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from aigc import durable
from aigc.evaluate.generation.held_out import held_out_measures
from aigc.generate.base import ImageData, ImageGenerator
from aigc.generate.repository import ModelInfo, ModelRepository
from aigc.profiles.weights import EventWeights
from aigc.store.base import Store
from aigc.training.data import TrainingData, load_data
from aigc.training.data_folder import read_data, write_data
from aigc.training.processes import Processes
from aigc.training.recipe import Recipe, RunOptions, find_recipe, parse_options
from aigc.training.run_folder import RunFolder
from aigc.training.run_spec import RUN_FILE, RunSpec
from aigc.training.trainer import Trainer, TrainingProgress
from aigc.training.warm_start import take_weights

if TYPE_CHECKING:
    from aigc.generate.base import Generator

__all__ = ["TrainingRun", "finished_model"]

_MADE = "made.json"
_DATA = "data"
_SET = "liked.json"


class TrainingRun:
    """What happens in one run folder: ``run.json``, ``data/``, ``checkpoints/``, ``metrics.jsonl``, ``curves.png``,
    ``samples/``, ``liked.json`` of a set of liked items and, in the end, ``made.json``, which names the model.

    Attributes:
        made: ``name@version`` once the model is in the repository, "" before.
        stopped: True when the run was told to stop before its end.
    """

    def __init__(
        self,
        folder: Path,
        spec: RunSpec,
        repository: ModelRepository,
        open_store: Callable[[], Store],
        *,
        processes: Processes | None = None,
        stop: Callable[[], bool] | None = None,
        weights: EventWeights | None = None,
    ) -> None:
        """Prepare.

        Args:
            folder: Of the run.
            spec: What is trained.
            repository: Gets the model.
            open_store: Opens the catalogue for reading.
            processes: The group this process is one of.
            stop: See :class:`aigc.training.trainer.Trainer`.
            weights: Of event types, to tell what was liked.
        """
        self.folder = folder
        self.spec = spec
        self.made = ""
        self.stopped = False
        self._repository = repository
        self._open_store = open_store
        self._processes = processes or Processes()
        self._stop = stop
        self._weights = weights

    def train(self) -> Iterator[TrainingProgress]:
        """Run to the end, reporting; then the model is in the repository.

        Raises:
            InvalidInputError: There is no such data, or the model cannot learn from it; says why.
            ConflictError: The data are others than those the run began with.
            CorruptDataError: The newest checkpoint is damaged; names the file.
            ResourceExhaustedError: The disk is full.
            TrainingFailedError: See :class:`aigc.training.trainer.Trainer`.
        """
        self.made = self._find_made()
        if self.made:
            return
        torch.set_num_threads(self.spec.threads)
        recipe = find_recipe(self.spec.kind)
        options = parse_options(recipe, self.spec.options)
        base = self.spec.from_model or recipe.base(options)
        info = self._repository.get(base) if base else None
        data, fresh = self._load(recipe, options, info)
        if self._processes.leads:
            # Only now: a mistake in what was asked for must not bind the folder to it.
            self.spec.write(self.folder)
        if fresh:
            for note in (f"learning from {data.count:,} {recipe.data}", *data.notes):
                yield TrainingProgress(0, options.trainer.steps, event=note)
        task = recipe.task(data, options, self._repository.open(info) if info else None)
        if info and self.spec.from_model and recipe.kind != "gpt":
            # A gpt is the model itself; the others are built anew, in its shape.
            take_weights(task, self._repository.folder(info), info.id)
            options = replace(options, groups={**options.groups, recipe.kind: getattr(task, "options")})  # noqa: B009
        own = {name: value for name, value in options.flat().items() if not name.startswith("trainer.")}
        trainer = Trainer(
            task,
            options.trainer,
            self.folder,
            processes=self._processes,
            settings={"kind": self.spec.kind, "data": data.sha256, **own, **self._begun},
            stop=self._stop,
        )
        yield from trainer.train()
        self.stopped = trainer.stopped
        if self.stopped or not self._processes.leads:
            return
        generator = recipe.generator(task, trainer.final_modules)
        self.made = self._keep(generator, options, data, trainer.state.step)

    def _find_made(self) -> str:
        """The model of this run: a kill may have come between its adding and the note of it."""
        if model := finished_model(self.folder):
            return model
        for info in self._repository.models():
            if info.name == self.spec.model and info.data.get("run") == self.spec.id:
                self._note_made(info.id)
                return info.id
        return ""

    @property
    def _begun(self) -> dict[str, str]:
        return {"from_model": self.spec.from_model} if self.spec.from_model else {}

    def _load(self, recipe: Recipe, options: RunOptions, base: ModelInfo | None) -> tuple[TrainingData, bool]:
        """The data, and whether they were read for the first time.

        The catalogue changes; what the run began with is kept beside it. A file is expected to stay what it is, and
        the run refuses to go on when it did not.
        """
        kept = self.folder / _DATA
        fresh = not kept.exists() and not (self.folder / "checkpoints").exists()
        if self._processes.leads:
            durable.remove_partial(self.folder)
            if not (self.folder / RUN_FILE).exists():
                shutil.rmtree(kept, ignore_errors=True)
            if not self.spec.data.path and not kept.exists():
                read = self._read(recipe, options, base)
                if self.spec.data.liked:
                    self._write_set(read)
                write_data(kept, read)
        self._processes.agree(0.0)
        return (self._read(recipe, options, base) if self.spec.data.path else read_data(kept)), fresh

    def _read(self, recipe: Recipe, options: RunOptions, base: ModelInfo | None) -> TrainingData:
        return load_data(
            recipe.data,
            self.spec.data,
            options.data,
            self._open_store,
            captions=recipe.captions,
            classes=tuple(base.details.get("classes", ())) if base else (),
            weights=self._weights,
        )

    def _write_set(self, data: TrainingData) -> None:
        """Where a fine-tuning set comes from: the same set gives the same bytes."""
        told = {
            "format": 1,
            **self.spec.data.told(),
            "count": data.count,
            "sha256": data.sha256,
            "left_out": list(data.notes),
            "items": {item_id: asdict(liked) for item_id, liked in sorted(data.liked.items())},
        }
        self.folder.mkdir(parents=True, exist_ok=True)
        durable.replace_file(self.folder / _SET, json.dumps(told, ensure_ascii=False, indent=1) + "\n")

    def _keep(self, generator: Generator, options: RunOptions, data: TrainingData, step: int) -> str:
        run = RunFolder(self.folder)
        measures: dict[str, float] = {}
        for line in run.lines():
            if line["kind"] == "validation" and line["step"] == step:
                measures = {k: v for k, v in line.items() if isinstance(v, float) and k != "seconds"}
        if isinstance(generator, ImageGenerator) and isinstance(data.train, ImageData):
            assert isinstance(data.held_out, ImageData)
            # What a later version is compared by before it may take part in the work.
            measures |= held_out_measures(generator, data.train, data.held_out)
        sheets = sorted(p for p in run.samples.iterdir() if p.stem == f"{step:09d}")

        def extra(folder: Path) -> None:
            for sheet in sheets:
                shutil.copyfile(sheet, folder / f"samples{sheet.suffix}")
            if (self.folder / "curves.png").exists():
                shutil.copyfile(self.folder / "curves.png", folder / "curves.png")
            if (self.folder / _SET).exists():
                shutil.copyfile(self.folder / _SET, folder / _SET)

        info = self._repository.add(
            self.spec.model,
            generator,
            measures={name: value for name, value in measures.items() if math.isfinite(value)},
            options=options.flat(),
            data={
                **self.spec.data.told(),
                "count": data.count,
                "sha256": data.sha256,
                "run": self.spec.id,
                **self._begun,
            },
            extra=extra,
        )
        self._note_made(info.id)
        return info.id

    def _note_made(self, model: str) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(self.folder / _DATA, ignore_errors=True)
        durable.replace_file(self.folder / _MADE, json.dumps({"model": model}) + "\n")


def finished_model(folder: Path) -> str:
    """``name@version`` of what the run in a folder made, "" when it made nothing yet."""
    try:
        return str(json.loads((folder / _MADE).read_text(encoding="utf-8"))["model"])
    except FileNotFoundError:
        return ""
