"""Stands between the command that ordered a training and the workers that do it, wherever these are."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from aigc.errors import AigcError

__all__ = ["Foreman", "stop_asked"]

_ASK_S = 0.5


class Foreman:
    """An actor on the command's node, which outlives the workers: tells the one what the others say, and back."""

    def __init__(self) -> None:
        """Nothing was said yet."""
        self._said: list[Mapping[str, Any]] = []
        self._starts = 0
        self._stopping = False
        self._failure: AigcError | None = None

    def begin(self) -> AigcError | None:
        """For the leading worker, each time that workers were started; gives why there is no sense in it, if so."""
        self._starts += 1
        return self._failure

    def starts(self) -> int:
        """For the command: how often workers were started."""
        return self._starts

    def say(self, progress: Mapping[str, Any]) -> None:
        """For the leading worker: the fields of a TrainingProgress."""
        self._said.append(progress)

    def hear(self) -> list[Mapping[str, Any]]:
        """For the command: what was said since the last time."""
        said, self._said = self._said, []
        return said

    def stop(self) -> None:
        """For the command: end after this step, with a checkpoint."""
        self._stopping = True

    def stopping(self) -> bool:
        """For the leading worker."""
        return self._stopping

    def give_up(self, failure: AigcError) -> None:
        """For workers: another try would fail in the same way."""
        self._failure = self._failure or failure

    def failure(self) -> AigcError | None:
        """Why there is no sense in going on, if there is none."""
        return self._failure


def stop_asked(foreman: Any) -> Callable[[], bool]:
    """For :class:`aigc.training.trainer.Trainer`: asked after every step, asks the foreman twice a second.

    Args:
        foreman: The actor's handle.
    """
    import ray

    last, told = 0.0, False

    def ask() -> bool:
        nonlocal last, told
        now = time.monotonic()
        if now - last >= _ASK_S:
            last, told = now, bool(ray.get(foreman.stopping.remote()))
        return told

    return ask
