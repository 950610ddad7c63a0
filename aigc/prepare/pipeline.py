"""Cleaning as a row of named steps, each of which can be left out and says how often it did something."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field

from aigc.entities import Item
from aigc.errors import InvalidInputError

__all__ = ["ItemPipeline", "RefusedError", "Step", "StepReport", "check_steps"]


class RefusedError(ValueError):
    """A step refuses an item; ``field`` says which part of it, the message why."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field
        self.message = message


@dataclass(frozen=True, slots=True)
class Step:
    """One thing done to each item.

    Attributes:
        name: What it is called in settings and reports.
        description: What it does, in words.
        apply: Item → item: the very same object when there is nothing to do. Raises RefusedError.
    """

    name: str
    description: str
    apply: Callable[[Item], Item]


@dataclass(slots=True)
class StepReport:
    """What the steps did: how many items came in, and how many each step changed or refused."""

    items: int = 0
    changed: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)

    def lines(self) -> list[str]:
        """The report in words, a step a line; steps that did nothing are left out."""
        names = dict.fromkeys([*self.changed, *self.refused])
        return [
            f"{name}: changed {self.changed[name]:,}" + (f", refused {n:,}" if (n := self.refused[name]) else "")
            for name in names
        ]


class ItemPipeline:
    """Steps in order; an item that a step refuses goes no further."""

    def __init__(self, steps: Sequence[Step]) -> None:
        """Args: steps: in the order of their work."""
        self.steps = tuple(steps)
        self.report = StepReport()

    def apply(self, item: Item) -> Item:
        """The item after all steps.

        Raises:
            RefusedError: A step refuses it.
        """
        self.report.items += 1
        for step in self.steps:
            try:
                after = step.apply(item)
            except RefusedError:
                self.report.refused[step.name] += 1
                raise
            if after is not item:
                self.report.changed[step.name] += 1
                item = after
        return item


def check_steps(known: Collection[str], names: Sequence[str], field_path: str) -> None:
    """Raise InvalidInputError, naming ``field_path``, when a step is unknown or named twice."""
    for name in names:
        if name not in known or list(names).count(name) > 1:
            raise InvalidInputError(
                f"{field_path} names the step {name!r}; give each of {', '.join(known)} at most once", field=field_path
            )
