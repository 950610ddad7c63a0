"""What a run leaves for people to look at: measures as JSON lines, curves and sample sheets as pictures."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

__all__ = ["RunFolder"]

_SMOOTH = 0.9
_PER_ROW = 3


class RunFolder:
    """``metrics.jsonl``, ``curves.png``, ``samples/`` and ``checkpoints/`` of one run."""

    def __init__(self, root: Path) -> None:
        """Args: root: made when it is not there."""
        self.root = root
        self.checkpoints = root / "checkpoints"
        self.samples = root / "samples"
        self.samples.mkdir(parents=True, exist_ok=True)
        self._metrics = root / "metrics.jsonl"

    def note(self, step: int, kind: str, values: Mapping[str, Any]) -> None:
        """Append one line; ``kind`` is ``train``, ``validation`` or ``event``."""
        line = json.dumps({"step": step, "kind": kind, **values}, ensure_ascii=False)
        with self._metrics.open("a", encoding="utf-8") as file:
            file.write(line + "\n")

    def lines(self) -> list[dict[str, Any]]:
        """All lines; one that a kill cut short is left out."""
        if not self._metrics.exists():
            return []
        found = []
        for line in self._metrics.read_text(encoding="utf-8").splitlines():
            try:
                found.append(json.loads(line))
            except ValueError:
                continue
        return found

    def forget_after(self, step: int) -> None:
        """Drop lines of steps that will be done again."""
        kept = [line for line in self.lines() if line["step"] <= step or line["kind"] == "event"]
        text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in kept)
        self._metrics.write_text(text, encoding="utf-8")

    def draw_curves(self) -> Path | None:
        """Draw every measure over the steps, a panel each; None while there is nothing to draw."""
        # Slow to import.
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure

        series: dict[str, list[tuple[int, float]]] = {}
        for line in self.lines():
            if line["kind"] == "event":
                continue
            for key, value in line.items():
                if isinstance(value, float) and key != "seconds":
                    series.setdefault(f"{line['kind']} {key}", []).append((line["step"], value))
        if not series:
            return None
        rows = -(-len(series) // _PER_ROW)
        wide, high = 4.0 * _PER_ROW, 2.6 * rows
        figure = Figure(figsize=(wide, high))
        FigureCanvasAgg(figure)
        # In inches from the edges: a layout that measures every label takes as long as the drawing.
        figure.subplots_adjust(0.5 / wide, 0.3 / high, 1 - 0.1 / wide, 1 - 0.3 / high, wspace=0.18, hspace=0.3)
        for place, (name, points) in enumerate(sorted(series.items()), 1):
            axes = figure.add_subplot(rows, _PER_ROW, place)
            steps, values = [s for s, _ in points], [v for _, v in points]
            smooth, current = [], values[0]
            for value in values:
                current = _SMOOTH * current + (1 - _SMOOTH) * value
                smooth.append(current)
            dense = len(points) > 30
            axes.plot(steps, values, alpha=0.3 if dense else 1.0, marker="" if dense else ".")
            if dense:
                axes.plot(steps, smooth)
            axes.set_title(name, fontsize=9)
            axes.tick_params(labelsize=7)
            axes.grid(alpha=0.3)
        path = self.root / "curves.png"
        figure.savefig(path, dpi=80)
        return path
