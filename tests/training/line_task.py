"""The smallest real task: a line fitted to points, with faults that can be switched on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import torch
from torch import nn

from aigc.generate.task import Phase, StepContext


class LineTask:
    """y = 3x - 1 with dropout in the way; ``break_at`` spoils the loss of a step, ``collapse_at`` a validation."""

    name = "line"
    averaged = ("line",)

    def __init__(self, break_at: int = -1, collapse_at: int = -1, batch_size: int = 8) -> None:
        torch.manual_seed(7)
        self.modules: Mapping[str, nn.Module] = {
            "line": nn.Sequential(nn.Linear(1, 4), nn.Dropout(0.1), nn.Linear(4, 1))
        }
        self.break_at, self.collapse_at, self.batch_size = break_at, collapse_at, batch_size
        self.validations = 0
        self.seen: list[float] = []

    def optimizers(self) -> Mapping[str, torch.optim.Optimizer]:
        return {"adam": torch.optim.Adam(self.modules["line"].parameters(), lr=0.02)}

    def phases(self, context: StepContext) -> Iterator[Phase]:
        x = context.uniform(self.batch_size, 1)
        loss = ((self.modules["line"](x) - (3 * x - 1)) ** 2).mean()
        if context.step == self.break_at:
            self.break_at = -1
            loss = loss * float("nan")
        self.seen.append(float(loss.detach()))
        yield Phase("adam", loss)

    def validate(self, modules: Mapping[str, nn.Module]) -> Mapping[str, float]:
        self.validations += 1
        x = torch.linspace(0, 1, 20)[:, None]
        error = float(((modules["line"](x) - (3 * x - 1)) ** 2).mean())
        return {"error": error, "diversity": 0.0 if self.validations == self.collapse_at else 1.0}

    def draw_samples(self, modules: Mapping[str, nn.Module], path: Path) -> Path | None:
        sheet = path.with_suffix(".txt")
        sheet.write_text("a line")
        return sheet
