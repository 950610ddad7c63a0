"""The Engine agrees with the plain reference on random small worlds, at every instruction-set level."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aigc.entities import Item
from aigc.kernel import Engine, Plan, Query, Source
from tests.kernel.reference import Ask, Recipe, recommend
from tests.kernel.world import World

weights = st.sampled_from([1.0, 0.5, 0.25, -0.5])


@st.composite
def worlds(draw: st.DrawFn) -> World:
    n = draw(st.integers(1, 9))
    items = [
        Item(
            f"i{row}",
            kind=draw(st.sampled_from(["text", "image"])),
            categories=tuple(draw(st.lists(st.sampled_from("abc"), max_size=2, unique=True))),
            hidden=draw(st.integers(0, 6)) == 0,
            created_ms=row,
        )
        for row in range(n)
    ]
    rows = st.integers(0, n - 1)
    histories = {
        f"u{u}": [(row, weight, 100 + t) for t, (row, weight) in enumerate(entries)]
        for u, entries in enumerate(
            draw(st.lists(st.lists(st.tuples(rows, weights), min_size=1, max_size=6), max_size=5))
        )
    }
    similar = {}
    strengths = st.sampled_from([1.0, 0.5, 0.25])
    for row in range(n):
        near = draw(st.dictionaries(rows, strengths, max_size=4))
        near.pop(row, None)
        similar[row] = sorted(near.items(), key=lambda e: (-e[1], e[0]))
    return World(items, histories, similar)


ids = st.sampled_from([f"i{n}" for n in range(10)])
asks = st.builds(
    Ask,
    user=st.sampled_from(["u0", "u1", "u2", "nobody", ""]),
    n=st.integers(1, 12),
    categories=st.lists(st.sampled_from(["a", "b", "unknown"]), max_size=2).map(tuple),
    kinds=st.lists(st.sampled_from(["text", "image", "unknown"]), max_size=2).map(tuple),
    allow=st.lists(ids, max_size=4).map(tuple),
    deny=st.lists(ids, max_size=4).map(tuple),
    context=st.sampled_from(["", "i0", "i3", "absent"]),
    exclude_seen=st.booleans(),
    personalised=st.booleans(),
)
recipes = st.lists(
    st.builds(
        Recipe,
        kind=st.sampled_from(["item_item", "user_user", "popular"]),
        weight=st.sampled_from([1.0, 0.5, 0.0]),
        limit=st.integers(1, 6),
        max_share=st.sampled_from([1.0, 0.5]),
        fallback=st.booleans(),
    ),
    min_size=1,
    max_size=3,
    unique_by=lambda r: r.kind,
)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    world=worlds(), ask=asks, mix=recipes, calibration=st.sampled_from(["max", "rank", "none"]), near=st.integers(1, 3)
)
def test_the_engine_agrees_with_the_reference(
    simd: str, world: World, ask: Ask, mix: list[Recipe], calibration: str, near: int
) -> None:
    engine = Engine()
    engine.publish(world.state())
    plan = Plan(
        sources=[
            Source(
                kind=r.kind,
                name="item_knn" if r.kind == "item_item" else r.kind,
                weight=r.weight,
                limit=r.limit,
                max_share=r.max_share,
                fallback=r.fallback,
            )
            for r in mix
        ],
        calibration=calibration,
        user_neighbours=near,
    )
    query = Query(
        now_ms=10**12,
        user_id=ask.user,
        n=ask.n,
        categories=ask.categories,
        kinds=ask.kinds,
        allow=ask.allow,
        deny=ask.deny,
        context_item=ask.context,
        exclude_seen=ask.exclude_seen,
        personalised=ask.personalised,
    )
    results = engine.recommend([query], plan)
    got = list(zip(results.rows[0].tolist(), results.scores[0].tolist(), strict=True))[: int(results.counts[0])]
    wanted = recommend(world, ask, mix, calibration, near)
    assert [round(s, 4) for _, s in got] == pytest.approx([s for _, s in wanted], abs=2e-4)
    # Where rounding makes neighbours of equals, the names may trade places; never otherwise.
    for (row, score), (other, _) in zip(got, wanted, strict=True):
        if row != other:
            assert any(r == row and s == pytest.approx(score, abs=1e-4) for r, s in wanted)


def test_numbers_without_a_meaning_are_refused() -> None:
    world = World([Item("a", created_ms=1)], {"u": [(0, 1.0, 5)]})
    state = world.state()
    with pytest.raises(ValueError, match="n is 0"):
        Query(now_ms=0, n=0)
    with pytest.raises(ValueError, match="diversity is"):
        Query(now_ms=0, diversity=float("nan"))
    with pytest.raises(ValueError, match=r"weights\[0\] is not finite"):
        state.apply_events(["u"], ["a"], np.array([np.nan], np.float32), np.array([5]))
    with pytest.raises(ValueError, match="source kind is 'x'"):
        Source(kind="x", name="x")
    with pytest.raises(ValueError, match="sources is empty"):
        Plan(sources=[])


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("item_created", lambda a: a[:-1], "has 2 entries, expected 3"),
        ("history_items", lambda a: a + 100, "expected less than 3"),
        ("item_embeddings", lambda a: a + np.nan, "not finite"),
        ("popular_order", lambda a: a.astype(np.int64), "is of dtype int64, expected uint32"),
        ("seen_offsets", lambda a: a[::-1].copy(), "starts at"),
    ],
)
def test_a_wrong_array_is_named(name: str, change: object, message: str) -> None:
    world = World([Item(f"i{n}", created_ms=n) for n in range(3)], {"u": [(0, 1.0, 5), (2, 1.0, 6)]})
    arrays = world.arrays()
    arrays[name] = change(arrays[name])  # type: ignore[operator]

    class Broken(World):
        def arrays(self) -> dict[str, np.ndarray]:
            return arrays

    with pytest.raises(ValueError, match=f"'{name}'.*{message}"):
        Broken(world.items, world.histories).state()
