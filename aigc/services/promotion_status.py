"""What promotions tell: to the loop, which version does a piece of work; to a person, where a model stands."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from aigc.creation.bandit.generation_arm import GenerationArm
from aigc.creation.promotion import Promotion
from aigc.creation.promotion_record import PromotionEvent
from aigc.creation.sequential import Difference
from aigc.generate.repository import ModelInfo

__all__ = ["Assignment", "PromotionStatus"]


@dataclass(frozen=True, slots=True)
class Assignment:
    """Who does a piece of work.

    Attributes:
        arm: Of the version.
        info: The version.
        share: Probability that this version was chosen among those compared; 1 without a comparison.
        told: What the record of everything made in it must hold: ``comparison`` and ``work``; empty without one.
    """

    arm: GenerationArm
    info: ModelInfo
    share: float = 1.0
    told: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PromotionStatus:
    """Where one model stands.

    Attributes:
        state: With the rewards counted so far.
        share: Part of the work that goes to ``state.other``; 0 in STEADY.
        started_ms: When this stage began; 0 when it always was so.
        difference: Mean reward of the newer version minus that of the older one; None before both have one.
        waiting: Version → pieces of its work that nobody has seen, or not long enough.
        history: The newest last.
    """

    state: Promotion
    share: float
    started_ms: int
    difference: Difference | None
    waiting: Mapping[int, int]
    history: tuple[PromotionEvent, ...]
