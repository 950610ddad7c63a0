"""What may be generated between requests."""

from __future__ import annotations

import math
from dataclasses import dataclass

from aigc.errors import InvalidInputError

__all__ = ["BackgroundOptions"]


@dataclass(frozen=True, slots=True)
class BackgroundOptions:
    """The ``[creation]`` settings. A strategy must want it too: ``background = true`` in its ``[generate]`` table.

    Attributes:
        background: Look for users whose catalogue is thin, and generate for them before they ask.
        strategy: Whose rules hold; empty for the running experiment, or else ``default``, as for a request.
        interval_ms: Pause between two rounds.
        users: Users looked at in one round.
        items: Items wanted for one gap of one user.
        active_hours: Users without an event for longer are left alone.
        items_per_hour: Items that may be admitted in any hour.
        seconds_per_hour: Time that may be spent on generating in any hour.
    """

    background: bool = False
    strategy: str = ""
    interval_ms: int = 60_000
    users: int = 10
    items: int = 2
    active_hours: float = 24.0
    items_per_hour: int = 60
    seconds_per_hour: int = 600

    def __post_init__(self) -> None:
        """Refuse values without a meaning."""
        for name, least, most in (("interval_ms", 10, None), ("users", 1, None), ("items", 1, 64)):
            value = getattr(self, name)
            if value < least or (most is not None and value > most):
                _refuse(name, value, f"{least} to {most}" if most is not None else f"at least {least}")
        for name in ("items_per_hour", "seconds_per_hour"):
            if getattr(self, name) < 0:
                _refuse(name, getattr(self, name), "0 or more")
        if not (math.isfinite(self.active_hours) and self.active_hours > 0):
            _refuse("active_hours", self.active_hours, "a number above 0")


def _refuse(name: str, value: object, wanted: str) -> None:
    raise InvalidInputError(f"creation.{name} is {value!r}; give {wanted}", field=f"creation.{name}")
