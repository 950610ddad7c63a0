"""Size, speed and quality of a saved generator before and after compression, and the choice of what is worth it."""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, Protocol, TypeVar

from aigc.errors import InvalidInputError
from aigc.generate.compression import Compressible

__all__ = ["METHODS", "Candidate", "CompressionReport", "SavedCompressible", "compress"]

METHODS = ("bf16", "int8", "int8+bf16", "prune25", "prune25+int8+bf16")
_LEAST_GAIN = 1.05


class SavedCompressible(Compressible, Protocol):
    """A compressible generator that can be written; see :class:`aigc.generate.base.Generator`."""

    def save(self, folder: Path) -> None:
        """Write ``config.json`` and ``.safetensors``."""
        ...


Model = TypeVar("Model", bound=SavedCompressible)


@dataclass(frozen=True, slots=True)
class Candidate:
    """One way to compress.

    Attributes:
        method: Of :mod:`aigc.generate.compression`; "" for the original.
        bytes: Of the saved folder.
        seconds: Median of the work.
        quality: As measured.
        kept: Faster than the original, and as good within the tolerance.
    """

    method: str
    bytes: int
    seconds: float
    quality: float
    kept: bool


@dataclass(frozen=True, slots=True)
class CompressionReport(Generic[Model]):
    """The original first, then each method; ``best`` is the fastest that is kept, or the original where none is."""

    candidates: tuple[Candidate, ...]
    best: Model

    def lines(self) -> list[str]:
        """For people: a table with ratios to the original."""
        first = self.candidates[0]
        rows = [f"{'method':<22} {'kB':>9} {'ms':>10} {'faster':>7} {'quality':>10}"]
        for c in self.candidates:
            verdict = "" if c is first else ("  kept" if c.kept else "  not kept")
            rows.append(
                f"{c.method or 'original':<22} {c.bytes / 1e3:9.0f} {1e3 * c.seconds:10.2f} "
                f"{first.seconds / c.seconds:6.2f}x {c.quality:10.4f}{verdict}"
            )
        return rows


def compress(
    generator: Model,
    work: Callable[[Model], object],
    quality: Callable[[Model], float],
    *,
    methods: Sequence[str] = METHODS,
    tolerance: float,
    rises: bool = True,
    rounds: int = 7,
    clock: Callable[[], float] = time.perf_counter,
) -> CompressionReport[Model]:
    """Try the methods on a generator; the caller saves ``report.best``.

    Methods that the generator refuses, such as pruning where it does not say what may go, are left out.

    Args:
        generator: Not compressed yet.
        work: What is to be fast, such as making sixteen pictures; run in turns, so that a busy machine slows all alike.
        quality: A number on held-out content.
        methods: To try.
        tolerance: How much worse the quality may be.
        rises: True when more quality is better.
        rounds: Timed runs of each.
        clock: Seconds.

    Raises:
        InvalidInputError: It is compressed already, or the tolerance or the rounds have no meaning.
    """
    if generator.compression:
        raise InvalidInputError(
            f"the model is compressed already ({generator.compression}): take the original", field="generator"
        )
    if not tolerance >= 0:
        raise InvalidInputError(f"tolerance is {tolerance}: take a number from 0", field="tolerance")
    if rounds < 1:
        raise InvalidInputError(f"rounds is {rounds}: take at least 1", field="rounds")
    models: dict[str, Model] = {"": generator}
    for method in methods:
        try:
            made = generator.with_compression(method)
        except InvalidInputError as error:
            if error.field != "method":
                raise
            continue
        models[method] = made  # type: ignore[assignment]
    for model in models.values():
        work(model)
    seconds: dict[str, list[float]] = {method: [] for method in models}
    for _ in range(rounds):
        for method, model in models.items():
            started = clock()
            work(model)
            seconds[method].append(clock() - started)
    medians = {method: statistics.median(s) for method, s in seconds.items()}
    first = quality(generator)
    candidates = []
    for method, model in models.items():
        found = quality(model) if method else first
        lost = (first - found) * (1 if rises else -1)
        faster = medians[""] / max(medians[method], 1e-12) >= _LEAST_GAIN
        kept = bool(method) and faster and lost <= tolerance
        candidates.append(Candidate(method, _bytes_of(model), medians[method], found, kept))
    chosen = min((c for c in candidates if c.kept), key=lambda c: c.seconds, default=candidates[0])
    return CompressionReport(tuple(candidates), models[chosen.method])


def _bytes_of(model: SavedCompressible) -> int:
    with tempfile.TemporaryDirectory(prefix="aigc-compress-") as name:
        folder = Path(name)
        model.save(folder)
        return sum(p.stat().st_size for p in folder.rglob("*") if p.is_file())
