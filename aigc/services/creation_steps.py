"""What generating for a user tells, step by step."""

from __future__ import annotations

from dataclasses import dataclass

from aigc.creation.decision import Decision
from aigc.entities import Creation, Item

__all__ = ["CreationOrder", "CreationProgress", "CreationStep"]


@dataclass(frozen=True, slots=True)
class CreationOrder:
    """What a call asks for.

    Attributes:
        user_id: For whom.
        n: Items wanted.
        kind: ``image``, ``text`` or ``audio``; empty for any.
        strategy: A name; empty lets the running experiment choose.
        adventure: In [0, 1]; None for the strategy's.
        force: Generate even where the catalogue suffices.
        dry_run: Decide only.
    """

    user_id: str
    n: int = 4
    kind: str = ""
    strategy: str = ""
    adventure: float | None = None
    force: bool = False
    dry_run: bool = False


@dataclass(frozen=True, slots=True)
class CreationProgress:
    """How far it is: candidates ``made``, ``admitted`` and ``refused`` of items ``wanted``."""

    made: int
    admitted: int
    refused: int
    wanted: int
    stage: str


@dataclass(frozen=True, slots=True)
class CreationStep:
    """One of the three; ``item`` stands beside an admitted creation."""

    decision: Decision | None = None
    progress: CreationProgress | None = None
    creation: Creation | None = None
    item: Item | None = None
