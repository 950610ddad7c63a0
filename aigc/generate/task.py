"""What a model supplies to the one training loop: its modules, its optimisers and the losses of a step."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

__all__ = ["Phase", "StepContext", "Task"]

_MIX = 0x9E3779B97F4A7C15
_MASK = (1 << 63) - 1


@dataclass(frozen=True, slots=True)
class StepContext:
    """One optimisation step: everything random in it follows from ``(seed, step)``.

    So a resumed run repeats the uninterrupted one, and several processes draw the parts of the batch that one process
    would have drawn: draws are made for the whole batch, on the CPU, and cut.

    Attributes:
        step: From 0.
        seed: Of the run.
        rank: Which of the processes this is.
        world: How many processes share the batch.
        device: Where tensors go.
    """

    step: int
    seed: int = 0
    rank: int = 0
    world: int = 1
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))

    def generator(self, stream: int = 0) -> torch.Generator:
        """A random source of this step on the CPU; another ``stream``, other numbers, the same on every process."""
        seed = (self.seed * 1_000_003 + self.step * 4099 + stream + 1) * _MIX & _MASK
        return torch.Generator().manual_seed(seed)

    def rows(self, n_rows: int, batch_size: int) -> Tensor:
        """(batch_size / world,) int64 on the CPU: this process's part of the step's batch of a shuffled data set.

        Each epoch is a permutation of its own; a batch that reaches past its end goes on in the next.
        """
        start = self.step * batch_size
        parts: list[Tensor] = []
        while batch_size > 0:
            epoch, offset = divmod(start, n_rows)
            seed = (self.seed * 1_000_003 + epoch * 7919 + 5) * _MIX & _MASK
            order = torch.randperm(n_rows, generator=torch.Generator().manual_seed(seed))
            parts.append(order[offset : offset + batch_size])
            start += len(parts[-1])
            batch_size -= len(parts[-1])
        return self.cut(torch.cat(parts))

    def cut(self, batch: Tensor) -> Tensor:
        """This process's rows of what was drawn for the whole batch."""
        if self.world == 1:
            return batch
        if len(batch) % self.world:
            raise ValueError(f"a batch of {len(batch)} does not divide among {self.world} processes")
        part = len(batch) // self.world
        return batch[self.rank * part : (self.rank + 1) * part]

    def normal(self, batch_size: int, *shape: int, stream: int = 0) -> Tensor:
        r"""(batch_size / world, \*shape) float32 standard normal, on the device."""
        return self.cut(torch.randn(batch_size, *shape, generator=self.generator(stream))).to(self.device)

    def uniform(self, batch_size: int, *shape: int, stream: int = 0) -> Tensor:
        r"""(batch_size / world, \*shape) float32 in [0, 1), on the device."""
        return self.cut(torch.rand(batch_size, *shape, generator=self.generator(stream))).to(self.device)

    def integers(self, high: int, batch_size: int, *shape: int, stream: int = 0) -> Tensor:
        r"""(batch_size / world, \*shape) int64 in [0, high), on the device."""
        drawn = torch.randint(high, (batch_size, *shape), generator=self.generator(stream))
        return self.cut(drawn).to(self.device)


@dataclass(frozen=True, slots=True)
class Phase:
    """One loss to go down: the loop takes the gradient, clips it and lets the named optimiser step.

    Attributes:
        optimizer: A key of :meth:`Task.optimizers`.
        loss: Scalar; its gradient reaches the parameters of that optimiser.
        metrics: Scalars worth watching, without a gradient.
    """

    optimizer: str
    loss: Tensor
    metrics: Mapping[str, Tensor] = field(default_factory=dict)


class Task(Protocol):
    """A model in training. The loop owns precision, gradients, schedules, averages, checkpoints and guards."""

    @property
    def name(self) -> str:
        """What is trained, for people."""
        ...

    @property
    def modules(self) -> Mapping[str, nn.Module]:
        """Everything with parameters, by name; all of it is saved."""
        ...

    @property
    def averaged(self) -> tuple[str, ...]:
        """Names of the modules whose weights' moving average is validated, sampled and kept in the end."""
        ...

    def optimizers(self) -> Mapping[str, Optimizer]:
        """Made once, over parameters of :attr:`modules`; the learning rates in it are the schedule's peak."""
        ...

    def phases(self, context: StepContext) -> Iterator[Phase]:
        """The losses of one step in order. The loop steps the optimiser before it asks for the next phase.

        What is random comes from ``context``; layers such as dropout may use torch's global source, which the loop
        seeds for each step and process.
        """
        ...

    def validate(self, modules: Mapping[str, nn.Module]) -> Mapping[str, float]:
        """Measures on held-out data, of these modules (the averaged ones in their place), in ``eval()`` mode.

        A key ``diversity`` in [0, 1] is watched by the collapse guard.
        """
        ...

    def draw_samples(self, modules: Mapping[str, nn.Module], path: Path) -> Path | None:
        """Write a sheet (``path`` + ``.png`` or ``.txt``), always of the same latents; None where there is none."""
        ...
