"""New generated items tried in a few places of a list, with the probability of each trial kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from aigc.creation.arms import Arms
from aigc.creation.bandit.exploration import ExplorationOptions, FreshItem, explore
from aigc.creation.bandit.thompson import ThompsonSampling
from aigc.entities import RecommendedItem
from aigc.recommend.explain import recommended
from aigc.recommend.live import Live, Serving
from aigc.recommend.request import RecommendRequest
from aigc.recommend.strategy import Strategy
from aigc.services.exposure import Exposure

__all__ = ["Explorer"]

_NEAREST = 32


class Explorer:
    """Chooses among the new items nearest to the user, by what became of each so far.

    One is tried only where it is at least as near the user as the median of the list's own items.
    """

    def __init__(self, live: Live, exposure: Exposure, arms: Arms, items: Arms) -> None:
        """Args: live: what serves; exposure: which items are new; arms: of the generators; items: of each item."""
        self._live = live
        self._exposure = exposure
        self._arms = arms
        self._items = items
        self._policy = ThompsonSampling()

    def apply(
        self,
        ranked: Sequence[RecommendedItem],
        request: RecommendRequest,
        strategy: Strategy,
        serving: Serving,
        seed: int,
        cap: float,
    ) -> tuple[tuple[RecommendedItem, ...], Mapping[str, float]]:
        """The list with its trials, and item id → propensity of each trial.

        Args:
            ranked: Best first.
            request: For whom; filters hold for trials as well, so a filtered request tries nothing.
            strategy: ``generate.explore_slots`` says how many places.
            serving: Knows the items.
            seed: Of the choice.
            cap: Share of the list that generated items may fill.
        """
        slots = strategy.generate.explore_slots
        filtered = request.categories or request.kinds or request.allow
        fresh = self._exposure.fresh() if slots and request.personalised and not filtered else {}
        if not fresh:
            return tuple(ranked), {}
        # What was deleted or hidden since is tried no more.
        place = {i: row for i in fresh if (row := serving.state.item_row(i)) >= 0}
        visible = serving.state.visible(np.array(list(place.values()), np.uint32))
        fresh = {i: fresh[i] for i, shown in zip(place, visible.tolist(), strict=True) if shown}
        if not fresh:
            return tuple(ranked), {}
        vectors, present = self._live.engine.user_vectors([request.user_id])
        near = serving.embeddings(list(fresh))
        if not present[0] or vectors.shape[1] != near.shape[1]:
            return tuple(ranked), {}
        cosines = near @ vectors[0]
        denied = set(request.deny)
        names = list(fresh)
        # Where the catalogue has what is nearer, a trial would cost the user more than it teaches.
        listed = serving.embeddings([item.item_id for item in ranked if not item.generated]) @ vectors[0]
        least = float(np.median(listed)) if len(listed) else -1.0
        best = [
            row
            for row in np.argsort(-cosines)[:_NEAREST].tolist()
            if names[row] not in denied and cosines[row] >= least
        ]
        if not best:
            return tuple(ranked), {}
        candidates = [
            FreshItem(
                names[row],
                float(np.clip(cosines[row], -1, 1)),
                shown=fresh[names[row]],
                liked=self._arms.liked(names[row]),
            )
            for row in best
        ]
        generated = {item.item_id for item in ranked if item.generated}
        explored = explore(
            self._policy,
            self._items.state(),
            [item.item_id for item in ranked],
            generated,
            candidates,
            n=request.n,
            most_generated=int(cap * request.n),
            most_share=cap,
            seed=seed,
            options=ExplorationOptions(slots=slots),
        )
        if not explored.trials:
            return tuple(ranked), {}
        known = {item.item_id: item for item in ranked}
        tried = [trial.item_id for trial in explored.trials]
        rows = np.array([serving.state.item_row(i) for i in tried], np.int64)
        if (rows < 0).any():
            return tuple(ranked), {}
        made = recommended(serving.state, rows.astype(np.uint32), np.zeros(len(rows), np.float32))
        least = min((item.score for item in ranked), default=0.0)
        known |= {item.item_id: replace(item, score=least) for item in made}
        return tuple(known[i] for i in explored.items), {t.item_id: t.propensity for t in explored.trials}
