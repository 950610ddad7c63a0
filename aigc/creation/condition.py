"""From a profile to what a generator is told: a class, a point between what is liked, a caption, a prompt."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aigc.entities import Item, Profile

__all__ = [
    "Condition",
    "caption_conditions",
    "category_shares",
    "class_conditions",
    "prompt_conditions",
    "taste_conditions",
]

_MOST_WORDS = 6


@dataclass(frozen=True, slots=True)
class Condition:
    """What one piece of content is made from.

    Attributes:
        way: ``class``, ``taste``, ``caption`` or ``prompt``.
        class_name: For a class-conditional model.
        caption: For a model that reads one.
        prompt: For a text model.
        latent: For a model with a latent space.
        category: The category it is made for, empty when none.
        sources: Items of the user's that led to it.
    """

    way: str
    class_name: str = ""
    caption: str = ""
    prompt: str = ""
    latent: tuple[float, ...] = ()
    category: str = ""
    sources: tuple[str, ...] = ()


def category_shares(profile: Profile, known: Sequence[str] = ()) -> dict[str, float]:
    """Category → share of what the user likes, behaviour and declarations together; only ``known`` ones when given.

    Half of the weight is what was seen, half what was declared, where there are both; disliked ones are left out.
    """
    seen = {a.category: a.weight for a in profile.affinities}
    declared = dict(profile.preferences.interests)
    shares: dict[str, float] = {}
    for part in (seen, declared):
        total = sum(w for c, w in part.items() if _wanted(c, profile, known))
        for name, weight in part.items():
            if total > 0 and weight > 0 and _wanted(name, profile, known):
                shares[name] = shares.get(name, 0.0) + weight / total
    total = sum(shares.values())
    return {name: weight / total for name, weight in sorted(shares.items(), key=lambda e: (-e[1], e[0]))}


def class_conditions(
    profile: Profile, classes: Sequence[str], n: int, rng: np.random.Generator, adventure: float
) -> list[Condition]:
    """N classes in the proportions of the profile: calibrated (Steck 2018) by systematic sampling, not by chance.

    Where there is a place for each taste, each has one at least.

    Args:
        profile: The user's.
        classes: Those that the model knows.
        n: How many.
        rng: Of the offset and the order.
        adventure: Share of the weight that goes to the model's other classes alike.
    """
    shares = category_shares(profile, classes)
    if not shares:
        return []
    names = list(shares)
    # A share below a twentieth is a passing visit, not a taste.
    weights = np.array([w if w >= 0.05 else 0.0 for w in shares.values()])
    weights = weights / weights.sum() if weights.sum() else np.full(len(names), 1 / len(names))
    disliked = set(profile.preferences.dislikes)
    others = [c for c in classes if c not in shares and c not in disliked]
    beyond = adventure * 0.2 if others else 0.0
    names += others
    weights = np.concatenate([weights * (1 - beyond), np.full(len(others), beyond / max(1, len(others)))])
    sure = np.flatnonzero(weights[: len(shares)])
    sure = sure if len(sure) <= n else sure[:0]
    rest = n * weights
    rest[sure] = np.maximum(rest[sure] - 1, 0)
    picked = np.concatenate([sure, _systematic(rest, n - len(sure), rng)])
    chosen = [names[i] for i in rng.permutation(picked)]
    sources = _sources_by_category(profile)
    return [Condition("class", class_name=c, category=c, sources=sources.get(c, ())) for c in chosen]


def taste_conditions(
    profile: Profile,
    latents: Mapping[str, NDArray[np.float32]],
    n: int,
    rng: np.random.Generator,
    adventure: float,
) -> list[Condition]:
    """N points around what the user likes: a mixture with a mode at each liked item, weighted by its taste's share.

    Not one mean: between two tastes lies content that nobody likes. Two items of one taste are mixed along the great
    circle, and the dial adds noise of up to the taste's own spread.

    Args:
        profile: The user's, with tastes.
        latents: Item id → (latent_size,) float32 of the liked items that have one.
        n: How many.
        rng: Of the choice and the noise.
        adventure: From 0, on the liked items' own side, to 1, as far out as they lie from each other.
    """
    tastes = [(t, [i for i in t.item_ids if i in latents]) for t in profile.tastes]
    tastes = [(t, ids) for t, ids in tastes if ids]
    if not tastes:
        return []
    shares = np.array([t.share for t, _ in tastes])
    picked = _systematic(shares, n, rng)
    found = []
    for row in rng.permutation(picked).tolist():
        taste, ids = tastes[row]
        points = np.stack([latents[i] for i in ids]).astype(np.float64)
        first, second = (int(i) for i in rng.choice(len(ids), 2, replace=len(ids) < 2))
        middle = 0.5 * rng.random() * (0.3 + 0.7 * adventure)
        spread = points.std(axis=0) if len(ids) > 1 else np.full(points.shape[1], 0.3)
        point = _between(points[first], points[second], middle) + adventure * spread * rng.normal(size=points.shape[1])
        sources = tuple(dict.fromkeys((ids[first], ids[second])))
        category = taste.names[0] if taste.names else ""
        found.append(Condition("taste", latent=tuple(point.tolist()), category=category, sources=sources))
    return found


def caption_conditions(
    profile: Profile, items: Mapping[str, Item], n: int, rng: np.random.Generator, adventure: float
) -> list[Condition]:
    """N captions out of the words of the user's tastes: titles and tags of liked items, mixed by the dial."""
    tastes = [(t, [items[i] for i in t.item_ids if i in items]) for t in profile.tastes]
    tastes = [(t, liked) for t, liked in tastes if liked]
    if not tastes:
        return []
    shares = np.array([t.share for t, _ in tastes])
    picked = _systematic(shares, n, rng)
    found = []
    for row in rng.permutation(picked).tolist():
        taste, liked = tastes[row]
        one = liked[int(rng.integers(len(liked)))]
        words = [one.title, *one.tags]
        if rng.random() < adventure and len(liked) > 1:
            other = liked[int(rng.integers(len(liked)))]
            words = [one.title, other.title, *other.tags]
        caption = " ".join(dict.fromkeys(w for w in words[:_MOST_WORDS] if w))
        category = one.categories[0] if one.categories else ""
        del taste
        found.append(Condition("caption", caption=caption, category=category, sources=(one.id,)))
    return found


def prompt_conditions(
    profile: Profile, items: Mapping[str, Item], n: int, rng: np.random.Generator, adventure: float
) -> list[Condition]:
    """N prompts: how a liked text begins, so that the model goes on in its manner; its title where it has no text."""
    liked = [items[i] for t in profile.tastes for i in t.item_ids if i in items]
    if not liked:
        return []
    found = []
    for _ in range(n):
        one = liked[int(rng.integers(len(liked)))]
        opening = one.text.strip().splitlines()[0] if one.text.strip() else ""
        # The farther the dial, the less of the known text the model is given.
        keep = max(4, round(len(opening) * (0.6 - 0.4 * adventure)))
        prompt = opening[:keep] or one.title
        category = one.categories[0] if one.categories else ""
        found.append(Condition("prompt", prompt=prompt, category=category, sources=(one.id,)))
    return found


def _systematic(weights: NDArray[np.float64], n: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """N places in the proportions of the weights, each to within one (systematic sampling, Madow 1949)."""
    marks = (np.arange(n) + rng.random()) / max(n, 1)
    edges = np.cumsum(weights / weights.sum()) if n else weights
    return np.minimum(np.searchsorted(edges, marks), len(weights) - 1)


def _wanted(category: str, profile: Profile, known: Sequence[str]) -> bool:
    return category not in profile.preferences.dislikes and (not known or category in known)


def _sources_by_category(profile: Profile) -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for taste in profile.tastes:
        for name in taste.names:
            found.setdefault(name, taste.item_ids)
    return found


def _between(a: NDArray[np.float64], b: NDArray[np.float64], share: float) -> NDArray[np.float64]:
    cosine = float(a @ b) / max(float(np.linalg.norm(a)) * float(np.linalg.norm(b)), 1e-12)
    angle = float(np.arccos(np.clip(cosine, -1, 1)))
    if np.sin(angle) < 1e-4:
        return np.asarray((1 - share) * a + share * b)
    return np.asarray((np.sin((1 - share) * angle) * a + np.sin(share * angle) * b) / np.sin(angle))
