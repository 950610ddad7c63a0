"""Classes asked of a generator: the profile's proportions, and every taste where there is room."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from aigc.creation.condition import class_conditions
from aigc.entities import CategoryAffinity, Preferences, Profile

CLASSES = tuple("0123456789")


def profile_of(weights: dict[str, float], dislikes: tuple[str, ...] = ()) -> Profile:
    affinities = tuple(CategoryAffinity(name, weight, 5) for name, weight in weights.items())
    return Profile("u", affinities, (), Preferences("u", dislikes=dislikes), 5 * len(weights), 0, 0)


def counts(profile: Profile, n: int, seed: int, adventure: float = 0.0) -> Counter[str]:
    rng = np.random.default_rng(seed)
    return Counter(c.class_name for c in class_conditions(profile, CLASSES, n, rng, adventure))


@pytest.mark.parametrize("seed", range(20))
def test_a_small_taste_has_a_place_too(seed: int) -> None:
    found = counts(profile_of({"3": 0.94, "7": 0.06}), 8, seed, adventure=0.3)
    assert found["7"] >= 1
    assert found["3"] >= 5
    assert found.total() == 8


@pytest.mark.parametrize("seed", range(20))
def test_classes_come_as_often_as_their_share_says_to_within_one(seed: int) -> None:
    shares = {"1": 0.5, "2": 0.3, "3": 0.2}
    found = counts(profile_of(shares), 17, seed)
    assert found.total() == 17
    assert all(abs(found[name] - 17 * share) < 1 + 1e-9 for name, share in shares.items())


def test_fewer_places_than_tastes_go_by_share() -> None:
    profile = profile_of({"1": 0.5, "2": 0.3, "3": 0.2})
    drawn = sum((counts(profile, 1, seed) for seed in range(2000)), Counter[str]())
    assert drawn.total() == 2000
    assert drawn["1"] == pytest.approx(1000, abs=100)
    assert drawn["3"] == pytest.approx(400, abs=80)


def test_a_passing_visit_and_what_is_disliked_are_left_out() -> None:
    found = counts(profile_of({"1": 0.97, "2": 0.03, "9": 0.9}, dislikes=("9",)), 50, 0, adventure=1.0)
    assert found["9"] == 0
    assert found["2"] == 0
    assert found["1"] >= 35
