from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import pytest

from aigc.errors import InvalidInputError
from aigc.option_tree import build_options, list_options, put_value


@dataclass(frozen=True, slots=True)
class Inner:
    """One line.

    Attributes:
        rate: How ``fast``, in a sentence that
            goes on in a second line.
        sizes, other: Two at once.
    """

    rate: float = 0.5
    sizes: tuple[int, ...] = (8, 4)
    other: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Outer:
    inner: Inner = field(default_factory=Inner)
    shape: Literal["round", "square"] = "round"
    on: bool = True
    weights: Mapping[str, float] = field(default_factory=lambda: {"a": 1.0})


def build(**values: str) -> Outer:
    tree: dict[str, object] = {}
    for name, value in values.items():
        put_value(tree, name.split("__"), value)
    return build_options(Outer, tree, "top.", defaults=Outer(inner=Inner(rate=0.25)), noun="option")


def test_texts_become_the_types_of_the_fields_and_the_rest_keeps_its_default() -> None:
    made = build(inner__sizes="16, 32", inner__other="x,y", on="no", shape="square")
    assert made.inner == Inner(rate=0.25, sizes=(16, 32), other=("x", "y"))
    assert (made.on, made.shape) == (False, "square")


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("inner__rte", "1", r"top\.inner\.rte is no option; did you mean top\.inner\.rate\?"),
        ("inner__rate", "fast", r"top\.inner\.rate is 'fast'; give a finite number"),
        ("inner__rate", "inf", "give a finite number"),
        ("inner__sizes", "8,many", r"top\.inner\.sizes\[1\] is 'many'; give a whole number"),
        ("shape", "oval", "shape is 'oval'; give round or square"),
        ("on", "maybe", "give a true or false"),
        ("inner", "3", "give a table"),
    ],
)
def test_a_mistake_is_named_with_its_remedy(name: str, value: str, message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        build(**{name: value})


def test_a_value_where_a_table_is_needed_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="inner is '3' and also has parts"):
        build(inner="3", inner__rate="1")


def test_options_are_listed_with_defaults_and_what_they_do() -> None:
    listed = {o.name: o for o in list_options(Outer(), "top.")}
    assert listed["top.inner.rate"].default == "0.5"
    assert listed["top.inner.rate"].description == "How fast, in a sentence that goes on in a second line."
    assert listed["top.inner.sizes"].default == "8,4"
    assert listed["top.inner.other"].description == "Two at once."
    assert listed["top.on"].default == "true"
