from __future__ import annotations

import numpy as np
import pytest

from aigc.errors import InvalidInputError
from aigc.generate.latent_space import attribute_direction, interpolate


def test_a_walk_begins_and_ends_where_it_should() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 16)).astype(np.float32)
    for walk in ("spherical", "linear"):
        path = interpolate(a, b, 7, walk)
        assert path.shape == (7, 16)
        assert (path[0] == a).all()
        assert (path[-1] == b).all()
    np.testing.assert_allclose(interpolate(a, b, 3, "linear")[1], (a + b) / 2, rtol=1e-5)


def test_the_arc_keeps_the_length_that_the_line_loses() -> None:
    rng = np.random.default_rng(1)
    a, b = rng.normal(size=(2, 64)).astype(np.float32)
    lengths = np.linalg.norm(interpolate(a, b, 9), axis=1)
    assert lengths.min() > 0.95 * min(np.linalg.norm(a), np.linalg.norm(b))
    assert np.linalg.norm(interpolate(a, b, 9, "linear"), axis=1).min() < 0.8 * lengths.min()


def test_latents_without_an_arc_are_joined_by_the_line() -> None:
    a = np.array([1.0, 0], np.float32)
    for b in (2 * a, -a, 0 * a):
        np.testing.assert_allclose(interpolate(a, b, 3)[1], (a + b) / 2, atol=1e-6)


def test_an_attribute_is_the_difference_of_means() -> None:
    lacking = np.random.default_rng(0).normal(size=(50, 3)).astype(np.float32)
    np.testing.assert_allclose(attribute_direction(lacking + [0, 2, 0], lacking), [0, 2, 0], atol=1e-5)


@pytest.mark.parametrize(
    ("field", "arguments"),
    [
        ("start", (np.zeros((2, 2)), np.zeros(2), 3)),
        ("start", (np.array([np.nan, 0]), np.zeros(2), 3)),
        ("end", (np.zeros(2), np.zeros(3), 3)),
        ("steps", (np.zeros(2), np.zeros(2), 1)),
        ("walk", (np.zeros(2), np.zeros(2), 3, "random")),
    ],
)
def test_walks_that_lead_nowhere_are_refused(field: str, arguments: tuple[object, ...]) -> None:
    with pytest.raises(InvalidInputError) as caught:
        interpolate(*arguments)
    assert caught.value.field == field


def test_an_attribute_of_nothing_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="lacking"):
        attribute_direction(np.zeros((2, 3), np.float32), np.zeros((0, 3), np.float32))
    with pytest.raises(InvalidInputError, match="one model"):
        attribute_direction(np.zeros((2, 3), np.float32), np.zeros((2, 4), np.float32))
