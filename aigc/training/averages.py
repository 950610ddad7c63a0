"""A moving average of weights, which samples better than the last weights do."""

from __future__ import annotations

import copy
from collections.abc import Mapping

import torch
from torch import nn

__all__ = ["Averages"]


class Averages:
    """Exponential moving averages (Polyak and Juditsky 1992) of some modules.

    While a run is young the decay is smaller, (1 + t) / (10 + t), so that the average does not remember the beginning.

    Attributes:
        modules: Name → a copy of the module that holds the average, in ``eval()`` mode.
    """

    def __init__(self, modules: Mapping[str, nn.Module], names: tuple[str, ...], decay: float) -> None:
        """Args: modules: what is trained; names: which of it is averaged; decay: 0 for no average."""
        self._live = {name: modules[name] for name in names} if decay else {}
        self._decay = decay
        self.modules = {name: copy.deepcopy(module).eval().requires_grad_(False) for name, module in self._live.items()}

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Take in the weights after ``step`` (from 0)."""
        decay = min(self._decay, (1 + step) / (10 + step))
        for name, module in self._live.items():
            kept = self.modules[name]
            for average, weight in zip(kept.parameters(), module.parameters(), strict=True):
                average.lerp_(weight, 1 - decay)
            for copied, buffer in zip(kept.buffers(), module.buffers(), strict=True):
                copied.copy_(buffer)
