"""Arms for generating: which version of which model, and which way of choosing its condition."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from aigc.creation.bandit.arm import Arm
from aigc.errors import InvalidInputError

__all__ = ["GenerationArm", "generation_arms"]


@dataclass(frozen=True, slots=True)
class GenerationArm:
    """A generator and how it is asked.

    Attributes:
        model: ``name@version``: a new version is a new arm, of which nothing is known yet.
        condition: Such as ``class``, ``taste``, ``caption`` or ``prompt``.
    """

    model: str
    condition: str

    def __post_init__(self) -> None:
        """Refuse what could not be read back from an id."""
        if not self.model or not self.condition or "|" in self.model + self.condition:
            raise InvalidInputError(
                f"model {self.model!r} and condition {self.condition!r}: give both, without '|'", field="arm"
            )

    @property
    def id(self) -> str:
        """Of the arm."""
        return f"{self.model}|{self.condition}"

    @classmethod
    def parse(cls, arm: str) -> GenerationArm:
        """From an arm's id."""
        model, bar, condition = arm.partition("|")
        if not bar:
            raise InvalidInputError(f"arm {arm!r} is none of a generator: it has no '|'", field="arm")
        return cls(model, condition)


def generation_arms(conditions: Mapping[str, Sequence[str]], features: tuple[float, ...] = ()) -> list[Arm]:
    """All arms, in the order given.

    Args:
        conditions: ``name@version`` → the ways it can be asked.
        features: Of the user, the same for all arms: for a policy that learns each arm by itself.
    """
    return [Arm(GenerationArm(model, c).id, features) for model, ways in conditions.items() for c in ways]
