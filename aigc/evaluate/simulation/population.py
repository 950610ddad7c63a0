"""Users with several tastes, and how these wander; all of it is fixed by a seed before anything is shown to anyone."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aigc.errors import InvalidInputError

__all__ = ["Population", "PopulationOptions", "draw_population"]

_WEAKEST = 0.7


@dataclass(frozen=True, slots=True)
class PopulationOptions:
    """What users are like.

    Attributes:
        users: How many.
        tastes: Favourite aspects of each.
        stray: Liking of everything else, beside 1 for the first favourite, in [0, 1].
        fatigue: Weariness of an aspect that an item of it leaves behind, 0 for none.
        recovery: Part of the weariness that stays to the next round, in [0, 1).
        novelty: Mean curiosity for aspects not met yet, in [0, 1]; each user has an own one around it.
        drift: Probability that a round turns one favourite of a user into another, in [0, 1].
        activity: Probability that a user is there in a round, in (0, 1].
    """

    users: int = 40
    tastes: int = 2
    stray: float = 0.05
    fatigue: float = 0.05
    recovery: float = 0.6
    novelty: float = 0.1
    drift: float = 0.01
    activity: float = 0.8

    def __post_init__(self) -> None:
        """Refuse values without a meaning."""
        for name in ("users", "tastes"):
            if getattr(self, name) < 1:
                raise InvalidInputError(f"{name} is {getattr(self, name)}; give at least 1", field=name)
        for name in ("stray", "recovery", "novelty", "drift", "activity"):
            value = getattr(self, name)
            if not 0 <= value <= 1:
                raise InvalidInputError(f"{name} is {value}; give a number from 0 to 1", field=name)
        if self.recovery == 1 or self.activity == 0:
            raise InvalidInputError("recovery must be below 1 and activity above 0", field="recovery")
        if not (math.isfinite(self.fatigue) and self.fatigue >= 0):
            raise InvalidInputError(f"fatigue is {self.fatigue}; give 0 or more", field="fatigue")


@dataclass(frozen=True, slots=True)
class Population:
    """The users of one seed, the same under every strategy.

    Attributes:
        options: What they were drawn by.
        seed: Of all of them.
        liking: (rounds, users, aspects) float64 in [0, 1]: 1 for the first favourite; drift has its way from round
            to round.
        curiosity: (users,) float64 in [0, 1].
        active: (rounds, users) bool: who is there.
    """

    options: PopulationOptions
    seed: int
    liking: NDArray[np.float64]
    curiosity: NDArray[np.float64]
    active: NDArray[np.bool_]

    @property
    def user_ids(self) -> tuple[str, ...]:
        """In the order of the arrays."""
        return tuple(f"user-{u:04d}" for u in range(self.options.users))

    def chances(self, round_: int, user: int, places: int) -> NDArray[np.float64]:
        """(places, 4) float64 uniforms that decide what a user does at each place in a round.

        They depend on nothing else, so that two strategies that show the same get the same answer: the noise is paired.
        """
        drawn: NDArray[np.float64] = np.random.default_rng([self.seed, 7, round_ + 1000, user]).random((places, 4))
        return drawn


def draw_population(options: PopulationOptions, n_aspects: int, rounds: int, seed: int) -> Population:
    """Draw users and the whole way of their tastes.

    Args:
        options: What they are like.
        n_aspects: Of the world.
        rounds: How long they are watched.
        seed: Of everything.

    Raises:
        InvalidInputError: More favourites than aspects.
    """
    users, tastes = options.users, options.tastes
    if tastes > n_aspects or rounds < 1:
        raise InvalidInputError(
            f"{tastes} tastes of {n_aspects} aspects over {rounds} rounds: give no more tastes than aspects, and a "
            "round at least",
            field="tastes",
        )
    rng = np.random.default_rng([seed, 3])
    favourites = np.stack([rng.permutation(n_aspects)[:tastes] for _ in range(users)])  # (users, tastes)
    strength = rng.uniform(_WEAKEST, 1.0, (users, tastes))
    strength[:, 0] = 1.0
    liking = np.empty((rounds, users, n_aspects))
    for round_ in range(rounds):
        turned = rng.random(users) < options.drift
        which, towards = rng.integers(tastes, size=users), rng.integers(n_aspects, size=users)
        for user in np.flatnonzero(turned).tolist():
            if round_ and towards[user] not in favourites[user]:
                favourites[user, which[user]] = towards[user]
        liking[round_] = options.stray
        np.put_along_axis(liking[round_], favourites, strength, axis=1)
    curiosity = np.clip(options.novelty * rng.gamma(4.0, 0.25, users), 0, 1)
    active = rng.random((rounds, users)) < options.activity
    return Population(options, seed, liking, curiosity, active)
