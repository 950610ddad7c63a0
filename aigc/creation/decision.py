"""Generate, or recommend what exists? Each reason with its number, what it was compared with, and in words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aigc.entities import Profile
from aigc.recommend.creation_recipe import CreationRecipe

__all__ = ["Decision", "Reason", "Supply", "decide"]


@dataclass(frozen=True, slots=True)
class Reason:
    """One thing that spoke for or against generating; ``decisive`` ones forbid it whatever the others say."""

    name: str
    value: float
    threshold: float
    speaks_for: bool
    text: str
    decisive: bool = False


@dataclass(frozen=True, slots=True)
class Decision:
    """The outcome and all its reasons."""

    generate: bool
    reasons: tuple[Reason, ...]


@dataclass(frozen=True, slots=True)
class Supply:
    """What the catalogue still has for a user.

    Attributes:
        similarities: (n,) float32 cosines of the best unseen items with the profile, falling.
        unseen: Category → items that the user has not acted on.
        new_share: Share of the catalogue's items of the user's categories that the user has not acted on, in [0, 1].
    """

    similarities: NDArray[np.float32]
    unseen: Mapping[str, int]
    new_share: float


def decide(
    profile: Profile,
    supply: Supply,
    recipe: CreationRecipe,
    *,
    made_for_user: int,
    made_for_all: int,
    models: int,
    cost_s: float = 0.0,
    patience_s: float | None = None,
    force: bool = False,
) -> Decision:
    """Weigh the reasons. What forbids (switched off, declined, no budget, no model, no time) is not overruled.

    Args:
        profile: The user's.
        supply: What exists.
        recipe: The strategy's.
        made_for_user: Items generated for this user in the last 24 hours.
        made_for_all: The same for everyone.
        models: Generators that could serve.
        cost_s: Expected seconds of generation.
        patience_s: Seconds until the caller's deadline; None for none.
        force: Generate even where the catalogue suffices.
    """
    reasons = [
        Reason(
            "strategy",
            float(recipe.enabled),
            1.0,
            recipe.enabled,
            "the strategy generates" if recipe.enabled else "the strategy does not generate (generate.enabled = false)",
            decisive=not recipe.enabled,
        ),
        _allowed(profile),
        Reason(
            "models",
            float(models),
            1.0,
            models > 0,
            f"{models} generators can serve" if models else "no generator can serve; train one",
            decisive=models == 0,
        ),
        _budget("user", made_for_user, recipe.per_user_day),
        _budget("platform", made_for_all, recipe.per_day),
    ]
    if patience_s is not None and cost_s > patience_s:
        reasons.append(
            Reason("cost", cost_s, patience_s, False, f"it takes {cost_s:.1f} s and {patience_s:.1f} s are left", True)
        )
    # What was only seen, or passed over, says little of a taste: what spoke for an item counts.
    liked = sum(a.events for a in profile.categories) if profile.categories else profile.event_count
    known = liked + len(profile.preferences.interests)
    knows = known >= recipe.least_events
    reasons.append(
        Reason(
            "profile",
            float(known),
            float(recipe.least_events),
            knows,
            f"the profile rests on {known} positive events and declarations, {recipe.least_events} are needed",
            decisive=not knows,
        )
    )
    relevance = float(np.mean(supply.similarities)) if len(supply.similarities) else 0.0
    covered = _coverage(profile, supply, recipe.enough_items)
    thin = [
        Reason(
            "relevance",
            relevance,
            recipe.least_relevance,
            relevance < recipe.least_relevance,
            f"the best unseen items lie at {relevance:.2f} of the profile, {recipe.least_relevance:.2f} is enough",
        ),
        Reason(
            "coverage",
            covered,
            recipe.least_coverage,
            covered < recipe.least_coverage,
            f"{covered:.0%} of the profile's weight is on categories with {recipe.enough_items} unseen items or more, "
            f"{recipe.least_coverage:.0%} is enough",
        ),
        Reason(
            "novelty",
            supply.new_share,
            0.1,
            supply.new_share < 0.1,
            f"{supply.new_share:.0%} of the items of the user's categories are new to the user",
        ),
    ]
    forbidden = any(reason.decisive for reason in reasons)
    wanted = force or any(reason.speaks_for for reason in thin)
    if force:
        thin.append(Reason("force", 1.0, 1.0, True, "the caller asked for it"))
    return Decision(wanted and not forbidden, (*reasons, *thin))


def _allowed(profile: Profile) -> Reason:
    allowed = profile.preferences.allow_generated and profile.preferences.allow_personalisation
    text = "the user allows generated content" if allowed else "the user declined generated or personal content"
    return Reason("preference", float(allowed), 1.0, allowed, text, decisive=not allowed)


def _budget(who: str, made: int, most: int) -> Reason:
    left = made < most
    text = f"{made} of {most} items a day were generated for this {who}"
    return Reason(f"budget_{who}", float(made), float(most), left, text, decisive=not left)


def _coverage(profile: Profile, supply: Supply, enough: int) -> float:
    shares = {affinity.category: affinity.weight for affinity in profile.affinities}
    total_interest = sum(profile.preferences.interests.values())
    for name, weight in profile.preferences.interests.items():
        shares[name] = shares.get(name, 0.0) + weight / max(total_interest, 1e-9)
    total = sum(shares.values())
    if not total:
        return 0.0
    return sum(w for c, w in shares.items() if supply.unseen.get(c, 0) >= enough) / total
