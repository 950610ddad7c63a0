"""Several processes that train one model together: data-parallel under ``torchrun`` or Ray Train."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import NoReturn

import torch
import torch.distributed as dist
from torch import Tensor, nn

__all__ = ["Processes", "end_process", "joined"]

_CPU = torch.device("cpu")


@dataclass(frozen=True, slots=True)
class Processes:
    """This process among those of the run; alone when there is but one.

    Gradients are averaged by hand instead of by DistributedDataParallel, whose hooks know nothing of second
    derivatives (gradient penalties) and of two optimisers that step in turns.
    """

    rank: int = 0
    world: int = 1
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))

    @property
    def leads(self) -> bool:
        """True in the one process that writes and reports."""
        return self.rank == 0

    def average_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """Replace each gradient by its mean over the processes, in one message."""
        if self.world == 1:
            return
        grads = [p.grad for p in parameters if p.grad is not None]
        if not grads:
            return
        flat = torch.cat([g.reshape(-1) for g in grads])
        dist.all_reduce(flat)
        flat /= self.world
        for grad, part in zip(grads, torch.split(flat, [g.numel() for g in grads]), strict=True):
            grad.copy_(part.view_as(grad))

    def average(self, values: Mapping[str, Tensor]) -> dict[str, float]:
        """The mean of each scalar over the processes."""
        if not values:
            return {}
        stacked = torch.stack([v.detach().to(self.device, torch.float32).reshape(()) for v in values.values()])
        if self.world > 1:
            dist.all_reduce(stacked)
            stacked /= self.world
        return dict(zip(values, stacked.tolist(), strict=True))

    def agree(self, value: float) -> float:
        """The leading process's value, in every process."""
        if self.world == 1:
            return value
        told = torch.tensor([value], dtype=torch.float64, device=self.device)
        dist.broadcast(told, 0)
        return float(told.item())


@contextmanager
def joined() -> Iterator[Processes]:
    """The group that ``torchrun`` or Ray Train started, or one process alone; NCCL between GPUs, gloo between CPUs."""
    if dist.is_available() and dist.is_initialized():
        # Ray Train began it, chose the backend by what each worker has, and ends it.
        device = torch.device("cuda", int(os.environ["LOCAL_RANK"])) if dist.get_backend() == "nccl" else _CPU
        if device.type == "cuda":
            torch.cuda.set_device(device)
        group = Processes(dist.get_rank(), dist.get_world_size(), device)
        yield group
        group.agree(0.0)
        return
    world = int(os.environ.get("WORLD_SIZE", "1"))
    rank, local = int(os.environ.get("RANK", "0")), int(os.environ.get("LOCAL_RANK", "0"))
    device = _CPU
    if torch.cuda.is_available():
        device = torch.device("cuda", local)
        torch.cuda.set_device(device)
    if world == 1:
        yield Processes(0, 1, device)
        return
    dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
    try:
        group = Processes(rank, world, device)
        yield group
        # The leading process still draws and saves; torchrun ends all when one that left early fails.
        group.agree(0.0)
    finally:
        dist.destroy_process_group()


def end_process(code: int) -> NoReturn:
    """End a process of a group without what C++ does at the end.

    A thread of gloo's that is still there then makes it abort now and then (torch 2.15: one time in ten on a busy
    machine), and torchrun takes that for a failure of the whole run.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
