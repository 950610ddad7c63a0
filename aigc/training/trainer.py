"""The one training loop. It knows nothing of any model: the task supplies the losses of a step."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch
from torch import Tensor, nn

from aigc import durable
from aigc.errors import ConflictError
from aigc.generate.task import StepContext, Task
from aigc.training.averages import Averages
from aigc.training.checkpoint import Checkpoints, RunState
from aigc.training.guards import DIVERSITY, TrainingFailedError, collapsed, is_finite, judge_target
from aigc.training.options import MAY_CHANGE, TrainerOptions
from aigc.training.processes import Processes
from aigc.training.run_folder import RunFolder
from aigc.training.schedule import rate_at

__all__ = ["Trainer", "TrainingProgress"]

_RATE_AFTER_ROLLBACK = 0.5
# Drawing takes a second.
_CURVES_S = 60.0


@dataclass(frozen=True, slots=True)
class TrainingProgress:
    """One report.

    Attributes:
        step: Steps done.
        steps: Steps in all.
        metrics: Means since the last report.
        measures: Of a validation, when one was just made.
        seconds: Spent.
        seconds_left: At the present speed.
        event: What happened out of the ordinary, in words: a resume, a rollback, the end before its time.
        sheet: A sample sheet just drawn.
    """

    step: int
    steps: int
    metrics: Mapping[str, float] = field(default_factory=dict)
    measures: Mapping[str, float] = field(default_factory=dict)
    seconds: float = 0.0
    seconds_left: float = 0.0
    event: str = ""
    sheet: Path | None = None


class Trainer:
    """One run of one task in one folder; going on where a killed or stopped run ended is the same call as beginning.

    Everything random follows from the seed and the step, and the state is all in the checkpoint, so on a CPU a resumed
    run ends with the very bits of the uninterrupted one.
    """

    def __init__(
        self,
        task: Task,
        options: TrainerOptions,
        folder: Path,
        *,
        processes: Processes | None = None,
        settings: Mapping[str, object] | None = None,
        stop: Callable[[], bool] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Prepare.

        Args:
            task: What is trained.
            options: How.
            folder: Where checkpoints, measures and pictures go.
            processes: The group this process is one of.
            settings: What else must be the same for a run to go on, such as the model's options and the data's hash.
            stop: Asked after every step whether to end there, with a checkpoint; the leading process's answer counts,
                and either every process has one or none.
            clock: Seconds.
        """
        self.task = task
        self.options = options
        self.processes = processes or Processes()
        self.run = RunFolder(folder)
        self.state = RunState(
            settings={k: v for k, v in asdict(options).items() if k not in MAY_CHANGE} | {"task": dict(settings or {})}
        )
        self.modules = {name: module.to(self.processes.device) for name, module in task.modules.items()}
        self.optimizers = dict(task.optimizers())
        self.averages = Averages(self.modules, task.averaged, options.average_decay)
        self._checkpoints = Checkpoints(self.run.checkpoints, options.keep_checkpoints)
        self._peaks = {name: [float(g["lr"]) for g in o.param_groups] for name, o in self.optimizers.items()}
        self.stopped = False
        self._stop = stop
        self._clock = clock
        self._sums: dict[str, list[float]] = {}
        self._rollbacks = 0
        self._next_curves = clock() + _CURVES_S
        if options.compile:
            for module in self.modules.values():
                module.compile()

    @property
    def final_modules(self) -> dict[str, nn.Module]:
        """What is to be kept: the averages in the place of what they average."""
        return self.modules | self.averages.modules

    def train(self) -> Iterator[TrainingProgress]:
        """Run to the end, reporting. Closing the iterator ends the run; a later one goes on from its last checkpoint.

        Raises:
            CorruptDataError: The newest checkpoint is damaged; names the file.
            ConflictError: The folder holds a run with other settings.
            ResourceExhaustedError: The disk is full.
            TrainingFailedError: Losses stayed infinite, or the model stayed collapsed, after all rollbacks.
        """
        yield self._begin()
        options, before, started = self.options, self.state.seconds, self._clock()
        while self.state.step < options.steps and not self._converged:
            metrics = self._step(self.state.step)
            if not is_finite(metrics):
                yield self._go_back(f"a loss is not finite ({_words(metrics)})")
                continue
            self.state.step += 1
            self.state.seconds = before + self._clock() - started
            out_of_time = options.max_seconds > 0 and bool(
                self.processes.agree(float(options.max_seconds <= self.state.seconds))
            )
            ends = out_of_time or self.state.step == options.steps
            if ends or self.state.step % options.log_every == 0:
                yield self._report()
            if _due(self.state.step, options.validate_every, ends):
                progress = self._validate()
                yield progress
                if collapsed(progress.measures, self.state, options):
                    yield self._go_back(f"diversity fell to {progress.measures[DIVERSITY]:.3f}: the model collapsed")
                    continue
                converged = judge_target(progress.measures, self.state, options)
                if converged or self.state.best_step == self.state.step:
                    self._checkpoint()
                if converged:
                    yield self._event(
                        f"converged: {options.target} got no better in {self.state.waited} validations; the best is "
                        f"{self.state.best:.4g} of step {self.state.best_step:,}"
                    )
                    break
            if _due(self.state.step, options.checkpoint_every, ends):
                self._checkpoint()
            if out_of_time:
                yield self._event(f"ended after {self.state.seconds:.0f} s, as trainer.max_seconds says")
                break
            if self._stop is not None and not ends and self.processes.agree(float(self._stop())):
                self._checkpoint()
                self.stopped = True
                yield self._event(f"stopped at step {self.state.step:,}, to go on from there")
                return
        if options.target and self.state.best_step not in (-1, self.state.step):
            self._restore(self.state.best_step)
        if self.processes.leads:
            self.run.draw_curves()

    @property
    def _converged(self) -> bool:
        """Ended so before; a run that is only asked for its result must not go on."""
        return bool(self.options.patience) and self.state.waited >= self.options.patience

    def _begin(self) -> TrainingProgress:
        if self.processes.leads:
            durable.remove_partial(self.run.checkpoints)
        newest = int(self.processes.agree(float((self._checkpoints.steps() or [-1])[-1])))
        if newest < 0:
            self._checkpoint()
            return TrainingProgress(0, self.options.steps)
        found = self._checkpoints.read_state(newest)
        if found.settings != self.state.settings:
            differing = sorted(k for k in self.state.settings if found.settings.get(k) != self.state.settings[k])
            raise ConflictError(
                f"{self.run.root} holds a run with another {', '.join(differing)}; give the same settings to go on, or "
                "another folder to begin anew",
                reason="OTHER_RUN",
            )
        self._restore(newest)
        self._rollbacks = self._checkpoints.rollbacks()
        if self.processes.leads:
            self.run.forget_after(newest)
        return self._event(f"resumed at step {newest:,}")

    def _step(self, step: int) -> dict[str, float]:
        """One step of every phase; the metrics, not all finite when the state must not be kept."""
        group = self.processes
        # After a rollback other numbers are drawn, or the same would happen again.
        seed = self.options.seed + 1_000_003 * self._rollbacks
        context = StepContext(step, seed, group.rank, group.world, group.device)
        torch.manual_seed((seed * 1_000_003 + step) * 64 + group.rank)
        scale = rate_at(step, self.options) * _RATE_AFTER_ROLLBACK**self._rollbacks
        for name, optimizer in self.optimizers.items():
            for entry, peak in zip(optimizer.param_groups, self._peaks[name], strict=True):
                entry["lr"] = peak * scale
        for module in self.modules.values():
            module.train()
        metrics: dict[str, Tensor] = {}
        phases = self.task.phases(context)
        while True:
            with self._autocast():
                phase = next(phases, None)
            if phase is None:
                break
            optimizer = self.optimizers[phase.optimizer]
            parameters = [p for g in optimizer.param_groups for p in g["params"]]
            optimizer.zero_grad(set_to_none=True)
            phase.loss.backward()  # type: ignore[no-untyped-call]
            group.average_gradients(parameters)
            norm = nn.utils.clip_grad_norm_(parameters, self.options.clip_norm or math.inf)
            metrics[f"{phase.optimizer}_loss"] = phase.loss
            metrics[f"{phase.optimizer}_gradient"] = norm
            metrics.update(phase.metrics)
            # One look at the device a phase: a gradient that is not finite must not reach the weights.
            if not bool(torch.isfinite(norm) & torch.isfinite(phase.loss.detach())):
                return group.average(metrics)
            optimizer.step()
        self.averages.update(step)
        told = group.average(metrics)
        for key, value in told.items():
            self._sums.setdefault(key, []).append(value)
        return told

    def _autocast(self) -> AbstractContextManager[object]:
        device = self.processes.device.type
        wanted = self.options.precision
        if wanted == "bfloat16" or (wanted == "auto" and device == "cuda"):
            return torch.autocast(device, torch.bfloat16)
        return nullcontext()

    def _report(self) -> TrainingProgress:
        state = self.state
        metrics = {key: sum(values) / len(values) for key, values in self._sums.items()}
        self._sums.clear()
        speed = state.seconds / max(1, state.step)
        left = speed * (self.options.steps - state.step)
        if self.options.max_seconds:
            left = min(left, max(0.0, self.options.max_seconds - state.seconds))
        if self.processes.leads and metrics:
            self.run.note(state.step, "train", {"seconds": state.seconds, **metrics})
        return TrainingProgress(state.step, self.options.steps, metrics, {}, state.seconds, left)

    def _validate(self) -> TrainingProgress:
        state = self.state
        measures: dict[str, float] = {}
        sheet = None
        if self.processes.leads:
            modules = self.final_modules
            for module in modules.values():
                module.eval()
            with torch.no_grad():
                measures = dict(self.task.validate(modules))
                sheet = self.task.draw_samples(modules, self.run.samples / f"{state.step:09d}")
            self.run.note(state.step, "validation", {"seconds": state.seconds, **measures})
            if self._clock() >= self._next_curves:
                self.run.draw_curves()
                self._next_curves = self._clock() + _CURVES_S
        measures = self._agree(measures)
        return TrainingProgress(state.step, self.options.steps, {}, measures, state.seconds, sheet=sheet)

    def _agree(self, measures: dict[str, float]) -> dict[str, float]:
        """Every process decides by what the leading one measured."""
        if self.processes.world == 1:
            return measures
        names = sorted({DIVERSITY, self.options.target} - {""})
        told = {name: self.processes.agree(measures.get(name, math.nan)) for name in names}
        return measures | {name: value for name, value in told.items() if not math.isnan(value)}

    def _checkpoint(self) -> None:
        if self.processes.leads:
            self._checkpoints.write(self.state, self.modules, self.averages.modules, self.optimizers)
        self.processes.agree(0.0)

    def _restore(self, step: int) -> None:
        settings = self.state.settings
        self.state = self._checkpoints.restore(step, self.modules, self.averages.modules, self.optimizers)
        self.state.settings = settings

    def _go_back(self, why: str) -> TrainingProgress:
        failed, seconds = self.state.step, self.state.seconds
        if self._rollbacks >= self.options.max_rollbacks:
            raise TrainingFailedError(
                f"{self.task.name}: {why} at step {failed:,}, after {self._rollbacks} rollbacks; lower the learning "
                "rate, clip the gradient (trainer.clip_norm) or look at the data",
                metadata={"step": str(failed)},
            )
        good = self._checkpoints.steps()[-1]
        self._restore(good)
        self._rollbacks += 1
        self.state.seconds = seconds
        self._sums.clear()
        if self.processes.leads:
            self._checkpoints.note_rollbacks(self._rollbacks)
            self.run.forget_after(good)
        self.processes.agree(0.0)
        return self._event(
            f"step {failed:,}: {why}; back to step {good:,} with half the learning rate ({self._rollbacks} of "
            f"{self.options.max_rollbacks})"
        )

    def _event(self, text: str) -> TrainingProgress:
        if self.processes.leads:
            self.run.note(self.state.step, "event", {"event": text})
        return TrainingProgress(self.state.step, self.options.steps, seconds=self.state.seconds, event=text)


def _due(step: int, every: int, ended: bool) -> bool:
    return ended or (every > 0 and step % every == 0)


def _words(metrics: Mapping[str, float]) -> str:
    return ", ".join(f"{k} {v:.4g}" for k, v in metrics.items())
