"""An A/B split: users divided between strategies by a hash of their id."""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from aigc.errors import InvalidInputError

__all__ = ["Experiment", "read_experiment"]


@dataclass(frozen=True, slots=True)
class Experiment:
    """A running split.

    Attributes:
        name: What answers are marked with.
        salt: Changing it deals the users anew.
        arms: Strategy name → share of the users; the shares sum to 1.
    """

    name: str
    salt: str
    arms: Mapping[str, float]

    def arm(self, user_id: str) -> str:
        """The strategy of a user: the same for ever, independent of every other experiment's."""
        digest = hashlib.blake2b(f"{self.name}\x1f{self.salt}\x1f{user_id}".encode(), digest_size=8).digest()
        point = int.from_bytes(digest, "big") / 2**64
        for strategy, share in self.arms.items():
            point -= share
            if point < 0:
                return strategy
        return list(self.arms)[-1]


def read_experiment(path: Path, strategies: Collection[str]) -> Experiment | None:
    """Read ``experiment.toml``; None when there is no such file.

    Raises:
        InvalidInputError: The file is malformed, names an unknown strategy, or its shares do not sum to 1.
    """

    def invalid(what: str, key: str = "") -> InvalidInputError:
        return InvalidInputError(f"{path}: {what}", field=key, reason="INVALID_STRATEGY", metadata={"file": str(path)})

    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise invalid(f"is no valid TOML: {error}") from error
    unknown = set(raw) - {"name", "salt", "arms"}
    if unknown:
        raise invalid(f"{sorted(unknown)[0]} is not a known key; known keys: name, salt, arms", sorted(unknown)[0])
    name, salt, arms = raw.get("name"), raw.get("salt", ""), raw.get("arms")
    if not isinstance(name, str) or not name:
        raise invalid(f"name is {name!r}; give a name", "name")
    if not isinstance(salt, str):
        raise invalid(f"salt is {salt!r}; give a string", "salt")
    if not isinstance(arms, dict) or not arms:
        raise invalid(f"arms is {arms!r}; give a table of strategy = share", "arms")
    for strategy, share in arms.items():
        if strategy not in strategies:
            known = ", ".join(sorted(strategies))
            raise invalid(f"arms.{strategy} names no strategy; there are: {known}", f"arms.{strategy}")
        if isinstance(share, bool) or not isinstance(share, int | float) or not 0 <= share <= 1:
            raise invalid(f"arms.{strategy} is {share!r}; give a share from 0 to 1", f"arms.{strategy}")
    if abs(sum(arms.values()) - 1) > 1e-6:
        raise invalid(f"arms sum to {sum(arms.values()):g}; make them sum to 1", "arms")
    return Experiment(name, salt, {k: float(v) for k, v in arms.items()})
