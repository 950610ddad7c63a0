"""Pictures of a comparison over time, with intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from aigc.evaluate.simulation.comparison import band
from aigc.evaluate.simulation.trace import Trace

__all__ = ["draw_comparison"]

_WIDE = 2


def draw_comparison(
    traces: Mapping[str, Sequence[Trace]],
    path: Path,
    *,
    title: str,
    baseline: str = "",
    caps: Mapping[str, float] | None = None,
) -> Path:
    """Engagement of every strategy; where a baseline is named, each one's paired difference to it; the share of
    generated items beside its cap. Shaded: 95 % intervals over seeds.

    Args:
        traces: Strategy → a trace a seed.
        path: Of the PNG file.
        title: Above it.
        baseline: What the differences are to; empty for no such panel.
        caps: Strategy → cap, for the panel of generated items, which is left out without.
    """
    caps = caps or {}
    made = [name for name in traces if any(t.generated.any() for t in traces[name])]
    panels = 1 + bool(baseline) + bool(made)
    figure = Figure(figsize=(8, 3.4 * panels), layout="constrained")
    axes = np.atleast_1d(figure.subplots(panels, 1, sharex=True))
    figure.suptitle(title)
    colours = {name: f"C{i % 10}" for i, name in enumerate(traces)}
    for name, runs in traces.items():
        _line(axes[0], np.stack([t.engagement for t in runs]), name, colours[name])
    axes[0].set_ylabel("expected clicks a visit")
    if baseline:
        for name, runs in traces.items():
            if name != baseline:
                pairs = zip(runs, traces[baseline], strict=True)
                _line(axes[1], np.stack([a.engagement - b.engagement for a, b in pairs]), name, colours[name])
        axes[1].axhline(0, color="black", linewidth=0.8)
        axes[1].set_ylabel(f"less {baseline}, paired")
    if made:
        for name in made:
            _line(axes[-1], np.stack([t.generated_share for t in traces[name]]), name, colours[name])
            if name in caps:
                axes[-1].axhline(caps[name], color=colours[name], linestyle=":", label=f"cap of {name}")
        axes[-1].set_ylabel("share of generated items shown")
        axes[-1].set_ylim(bottom=0)
    for each in axes:
        each.legend(fontsize="small", loc="upper right", ncols=_WIDE)
        each.grid(alpha=0.3)
    axes[-1].set_xlabel("round")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
    return path


def _line(axis: Any, rows: Any, name: str, colour: str) -> None:
    found, rounds = band(rows), np.arange(1, rows.shape[1] + 1)
    axis.plot(rounds, found.value, color=colour, label=name)
    if len(rows) > 1:
        axis.fill_between(rounds, found.low, found.high, color=colour, alpha=0.15, linewidth=0)
