from __future__ import annotations

import pytest

from aigc.errors import InvalidInputError
from aigc.recommend.learning_path import PathRecipe, blocked_items, mastered_items, required_of


def test_what_is_required_stands_in_an_attribute() -> None:
    assert required_of({"requires": " a, b ,,"}, "requires") == ("a", "b")
    assert required_of({}, "requires") == ()


def test_a_step_opens_when_all_before_it_are_mastered() -> None:
    required = {"b": ["a"], "c": ["a", "b"]}
    assert blocked_items(required, frozenset()) == ["b", "c"]
    assert blocked_items(required, frozenset({"a"})) == ["c", "a"]
    assert set(blocked_items(required, frozenset({"a", "b"}))) == {"a", "b"}


def test_who_fails_again_has_to_learn_again() -> None:
    assert mastered_items(["a", "b", "a"], [0.8, 0.3, -0.5], 0.6) == frozenset()
    assert mastered_items(["a", "a", "a"], [-0.5, 0.8, 0.2], 0.6) == frozenset({"a"})


def test_a_path_without_a_meaning_is_refused() -> None:
    with pytest.raises(InvalidInputError, match=r"learning\.mastery"):
        PathRecipe(mastery=0.0)
