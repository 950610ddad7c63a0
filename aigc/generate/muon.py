"""Muon for matrices and AdamW for the rest, as one optimiser: one loss, one step, one state to save."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import groupby
from typing import Any, overload

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from aigc.errors import InvalidInputError

__all__ = ["MuonAdamW"]

# Coefficients of the quintic iteration (Jordan 2024): steep at 0, so that five rounds are enough.
_A, _B, _C = 3.4445, -4.7750, 2.0315


class MuonAdamW(Optimizer):
    """Two groups of parameters: ``muon``'s learning rate is the spectral size of a step, ``adamw``'s the usual one.

    torch has a Muon of its own; this one takes all matrices of a shape at once, and keeps both kinds in one optimiser,
    whose state is tensors only.
    """

    def __init__(
        self,
        matrices: Iterable[nn.Parameter],
        rest: Iterable[nn.Parameter],
        *,
        matrix_learning_rate: float,
        learning_rate: float,
        weight_decay: float = 0.0,
        momentum: float = 0.95,
        betas: tuple[float, float] = (0.9, 0.95),
    ) -> None:
        """Args: weight_decay: of the matrices only, times the learning rate (Loshchilov and Hutter 2019)."""
        groups = [
            {"params": list(matrices), "lr": matrix_learning_rate, "muon": True, "weight_decay": weight_decay},
            {"params": list(rest), "lr": learning_rate, "muon": False, "weight_decay": 0.0},
        ]
        for name, value in (("matrix_learning_rate", matrix_learning_rate), ("learning_rate", learning_rate)):
            if not value > 0:
                raise InvalidInputError(f"{name} is {value}; give a number above 0", field=name)
        super().__init__([g for g in groups if g["params"]], {"momentum": momentum, "betas": betas, "eps": 1e-10})

    @overload
    def step(self, closure: None = None) -> None: ...
    @overload
    def step(self, closure: Callable[[], float]) -> float: ...
    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:
        """Change every parameter that has a gradient."""
        loss = None if closure is None else torch.enable_grad()(closure)()
        for group in self.param_groups:
            parameters = [p for p in group["params"] if p.grad is not None]
            if group["muon"]:
                self._muon(parameters, group)
            else:
                self._adamw(parameters, group)
        return loss

    def _muon(self, parameters: list[nn.Parameter], group: dict[str, Any]) -> None:
        """Momentum (Nesterov), made orthogonal: every direction of a matrix moves by the same length."""
        parameters = sorted(parameters, key=lambda p: tuple(p.shape))
        for (rows, columns), same in groupby(parameters, key=lambda p: tuple(p.shape)):
            alike = list(same)
            gradients = torch.stack([p.grad for p in alike if p.grad is not None])  # (n, rows, columns)
            momenta = [self._buffer(p, "momentum") for p in alike]
            torch._foreach_lerp_(momenta, list(gradients), 1 - group["momentum"])
            steps = _orthogonal(gradients.lerp(torch.stack(momenta), group["momentum"]))
            scale = group["lr"] * max(1.0, rows / columns) ** 0.5
            for parameter, direction in zip(alike, steps, strict=True):
                parameter.mul_(1 - group["lr"] * group["weight_decay"])
                parameter.add_(direction.to(parameter.dtype), alpha=-scale)

    def _adamw(self, parameters: list[nn.Parameter], group: dict[str, Any]) -> None:
        (beta1, beta2), eps = group["betas"], group["eps"]
        for p in parameters:
            assert p.grad is not None
            mean, square = self._buffer(p, "mean"), self._buffer(p, "square")
            count = self.state[p].setdefault("step", torch.zeros(()))
            count += 1
            mean.lerp_(p.grad, 1 - beta1)
            square.lerp_(p.grad.square(), 1 - beta2)
            t = float(count)
            size = group["lr"] / (1 - beta1**t)
            p.addcdiv_(mean, (square / (1 - beta2**t)).sqrt_().add_(eps), value=-size)

    def _buffer(self, parameter: nn.Parameter, name: str) -> Tensor:
        state = self.state[parameter]
        if name not in state:
            state[name] = torch.zeros_like(parameter)
        buffer: Tensor = state[name]
        return buffer


def _orthogonal(x: Tensor) -> Tensor:
    """(n, rows, columns) with all singular values near 1, by Newton and Schulz's iteration in bfloat16."""
    y = x.bfloat16()
    tall = y.shape[1] > y.shape[2]
    if tall:
        y = y.mT
    y = y / (y.norm(dim=(1, 2), keepdim=True) + 1e-7)
    for _ in range(5):
        gram = y @ y.mT  # (n, small, small)
        y = torch.baddbmm(y, torch.baddbmm(gram, gram, gram, beta=_B, alpha=_C), y, beta=_A)
    return y.mT if tall else y
