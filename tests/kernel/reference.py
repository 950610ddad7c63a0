"""Engine.recommend written plainly, for the sources that read no embedding, without reranking."""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass

from tests.kernel.world import World


@dataclass(frozen=True)
class Ask:
    user: str = ""
    n: int = 5
    categories: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    allow: tuple[str, ...] = ()
    deny: tuple[str, ...] = ()
    context: str = ""
    exclude_seen: bool = True
    personalised: bool = True


@dataclass(frozen=True)
class Recipe:
    kind: str
    weight: float = 1.0
    limit: int = 200
    max_share: float = 1.0
    fallback: bool = False


def recommend(
    world: World, ask: Ask, recipes: list[Recipe], calibration: str, neighbours: int
) -> list[tuple[int, float]]:
    """(row, score) best first."""
    rows = {item.id: row for row, item in enumerate(world.items)}
    known = ask.user in world.histories
    personal = ask.personalised and known
    events = world.histories[ask.user] if personal else []
    history = [(row, weight) for row, weight, _ in events]
    context = rows.get(ask.context, -1)
    if context >= 0:
        history.append((context, 1.0))
    seen = {row for row, _, _ in events}

    def passes(row: int) -> bool:
        item = world.items[row]
        return (
            not item.hidden
            and row != context
            and not (ask.exclude_seen and row in seen)
            and (not ask.allow or item.id in ask.allow)
            and item.id not in ask.deny
            and (not ask.kinds or item.kind in ask.kinds)
            and (not ask.categories or bool(set(ask.categories) & set(item.categories)))
        )

    def candidates(recipe: Recipe) -> list[tuple[int, float]]:
        scores: dict[int, float] = defaultdict(float)
        if recipe.kind == "item_item":
            for row, weight in history:
                for other, similarity in world.similar.get(row, []):
                    scores[other] += weight * similarity
        elif recipe.kind == "user_user" and personal:
            for user, similarity in similar_users(world, ask.user, history)[:neighbours]:
                for row, weight, _ in world.histories[user]:
                    scores[row] += similarity * weight
        elif recipe.kind == "popular":
            for events_of in world.histories.values():
                for row, weight, _ in events_of:
                    scores[row] += max(weight, 0.0)
        passing = [(row, score) for row, score in scores.items() if score > 1e-7 and passes(row)]
        return sorted(passing, key=lambda c: (-c[1], c[0]))[: recipe.limit]

    def fuse(fallback: bool, without: set[int]) -> list[tuple[int, float, int]]:
        parts: dict[int, list[float]] = {}
        for place, recipe in enumerate(recipes):
            found = [c for c in candidates(recipe) if c[0] not in without] if recipe.fallback == fallback else []
            for rank, (row, score) in enumerate(found):
                part = {"max": score / found[0][1], "rank": 61 / (61 + rank), "none": score}[calibration]
                parts.setdefault(row, [0.0] * len(recipes))[place] += recipe.weight * part
        fused = [(row, sum(p), max(range(len(p)), key=lambda s: (p[s], -s))) for row, p in parts.items() if sum(p) > 0]
        return sorted(fused, key=lambda f: (-f[1], f[0]))

    chosen: list[tuple[int, float]] = []
    taken: dict[int, int] = defaultdict(int)

    def fill(fused: list[tuple[int, float, int]], scale: float) -> None:
        for row, score, owner in fused:
            cap = math.floor(recipes[owner].max_share * ask.n + 1e-6)
            if len(chosen) < ask.n and taken[owner] < cap:
                chosen.append((row, score * scale))
                taken[owner] += 1

    first = fuse(False, set())
    fill(first, 1.0)
    if len(chosen) < ask.n:
        rest = fuse(True, {row for row, _, _ in first})
        lowest = min((score for _, score in chosen), default=None)
        scale = 1.0 if lowest is None or not rest else min(1.0, 0.5 * lowest / rest[0][1])
        fill(rest, scale)
    return chosen


def similar_users(world: World, user: str, history: list[tuple[int, float]]) -> list[tuple[str, float]]:
    """Idf-weighted cosine over distinct liked items, best first."""
    liked_by = {u: {row for row, weight, _ in h if weight > 0} for u, h in world.histories.items()}
    m = len(world.histories)
    idf = [math.log1p(m / max(1, sum(row in liked for liked in liked_by.values()))) for row in range(len(world.items))]
    mine = {row for row, weight in history if weight > 0}
    norm = math.sqrt(sum(idf[row] ** 2 for row in mine))
    found = []
    for place, (other, liked) in enumerate(liked_by.items()):
        common = sum(idf[row] ** 2 for row in mine & liked)
        if other != user and common > 0:
            found.append((place, other, min(1.0, common / (norm * math.sqrt(sum(idf[r] ** 2 for r in liked))))))
    return [(other, similarity) for _, other, similarity in sorted(found, key=lambda f: (-f[2], f[0]))]
