"""Servers that are none: one shows what it likes, one knows the truth."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from aigc.entities import Event, Item
from aigc.evaluate.simulation.client import Answer, Generation
from aigc.evaluate.simulation.population import Population
from aigc.evaluate.simulation.toy import TOY_ASPECTS
from aigc.evaluate.simulation.world import World


class ScriptedClient:
    """Shows each user the items whose words the user likes most, or the first of the catalogue; may generate."""

    def __init__(
        self, world: World, population: Population | None = None, *, cap: float = 0.0, first_n: bool = False
    ) -> None:
        self.world, self.population, self.cap, self.first_n = world, population, cap, first_n
        self.events: list[Event] = []
        self.made: dict[str, Item] = {}
        self.asked: list[str] = []

    def recommend(self, user_ids: Sequence[str], n: int) -> list[Answer]:
        return [self._answer(user, n) for user in user_ids]

    def _answer(self, user: str, n: int) -> Answer:
        clicked = {e.item_id for e in self.events if e.user_id == user and e.type == "click"}
        order = range(len(self.world.items))
        if self.population is not None:
            liking = self.population.liking[0, self.population.user_ids.index(user)]
            order = np.argsort(-(self.world.shows @ liking), kind="stable").tolist()
        ids = [self.world.items[r].id for r in order if self.first_n or self.world.items[r].id not in clicked][:n]
        own = [i for i in self.made if i.startswith(user) and i not in clicked][: int(self.cap * n)]
        ids = own + ids[: n - len(own)]
        return Answer(f"r-{user}", tuple(ids), tuple(i in self.made for i in ids))

    def record(self, events: Sequence[Event]) -> None:
        self.events += events

    def generate_for(self, user_id: str) -> Generation:
        self.asked.append(user_id)
        if self.population is None:
            return Generation(False)
        best = int(self.population.liking[0, self.population.user_ids.index(user_id)].argmax())
        name = f"{user_id}-made-{len(self.made)}"
        self.made[name] = Item(name, title=f"{TOY_ASPECTS[best]} song", generated=True)
        return Generation(True, admitted=1, refused=2)

    def items(self, item_ids: Sequence[str]) -> list[Item]:
        return [self.made[i] for i in item_ids]
