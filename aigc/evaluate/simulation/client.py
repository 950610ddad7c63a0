"""What the simulator asks of a server; a transport stands behind it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from aigc.entities import Event, Item

__all__ = ["Answer", "Generation", "WorldClient"]


@dataclass(frozen=True, slots=True)
class Answer:
    """A list that was recommended.

    Attributes:
        recommendation_id: To be quoted by the events it leads to.
        item_ids: Best first.
        generated: For each, whether a model made it.
    """

    recommendation_id: str
    item_ids: tuple[str, ...]
    generated: tuple[bool, ...]


@dataclass(frozen=True, slots=True)
class Generation:
    """What became of a request to generate for a user.

    Attributes:
        decided: True when the server found that something is missing.
        admitted: Items that came into the catalogue.
        refused: Candidates that a gate refused.
    """

    decided: bool
    admitted: int = 0
    refused: int = 0


class WorldClient(Protocol):
    """One server under one strategy."""

    def recommend(self, user_ids: Sequence[str], n: int) -> list[Answer]:
        """A list for each user."""
        ...

    def record(self, events: Sequence[Event]) -> None:
        """Behaviour, durable and counted in the next answer when this returns."""
        ...

    def generate_for(self, user_id: str) -> Generation:
        """Let the server decide whether to generate for a user, and do it."""
        ...

    def items(self, item_ids: Sequence[str]) -> list[Item]:
        """Items with their content, in the order asked for."""
        ...
