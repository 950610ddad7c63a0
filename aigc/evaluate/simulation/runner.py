"""Rounds of visits: a list is asked for, looked at, clicked or rejected, and what happened is told the server."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from aigc.entities import Event
from aigc.errors import InvalidInputError
from aigc.evaluate.simulation.click_model import ClickModel
from aigc.evaluate.simulation.client import Answer, WorldClient
from aigc.evaluate.simulation.population import Population
from aigc.evaluate.simulation.trace import Trace
from aigc.evaluate.simulation.visit import Memory, Visit, visit
from aigc.evaluate.simulation.world import AspectReader, World

__all__ = ["RunOptions", "past_events", "run"]

_CALL = 500


@dataclass(frozen=True, slots=True)
class RunOptions:
    """One run.

    Attributes:
        n: Items a list.
        start_ms: Time of the first round, milliseconds since the epoch; a round is an hour.
        generate_every: Rounds from one request to generate for each visitor to the next; 0 for never.
        cap: Part of a list that generated items may fill, in [0, 1]: counted here, enforced by the server.
        clicks: The ground truth.
    """

    n: int = 10
    start_ms: int = 1_760_000_000_000
    generate_every: int = 0
    cap: float = 1.0
    clicks: ClickModel = field(default_factory=ClickModel)

    def __post_init__(self) -> None:
        """Refuse values without a meaning."""
        if self.n < 1 or self.generate_every < 0:
            raise InvalidInputError(
                f"n is {self.n} and generate_every {self.generate_every}; give at least 1 and 0", field="n"
            )
        if not 0 <= self.cap <= 1:
            raise InvalidInputError(f"cap is {self.cap}; give a number from 0 to 1", field="cap")


def run(
    world: World,
    population: Population,
    client: WorldClient,
    options: RunOptions | None = None,
    reader: AspectReader | None = None,
    told: Callable[[float], None] = lambda _: None,
) -> Trace:
    """All rounds of one seed under one strategy.

    Args:
        world: The catalogue as the server has it at the start.
        population: The users; their tastes' way is as long as the run.
        client: The server.
        options: See :class:`RunOptions`.
        reader: Reads items that the world does not know; needed where something is generated.
        told: Hears the fraction done.
    """
    options = options or RunOptions()
    rounds, ids = len(population.liking), population.user_ids
    trace = Trace.empty(rounds)
    memories = [Memory.fresh(len(world.aspects)) for _ in ids]
    shows = {item.id: row for item, row in zip(world.items, world.shows, strict=True)}
    for round_ in range(rounds):
        visitors = np.flatnonzero(population.active[round_]).tolist()
        if options.generate_every and round_ % options.generate_every == 0:
            for user in visitors:
                made = client.generate_for(ids[user])
                trace.admitted[round_] += made.admitted
                trace.refused[round_] += made.refused
        answers = client.recommend([ids[user] for user in visitors], options.n) if visitors else []
        _read_new(answers, shows, client, reader)
        for memory in memories:
            memory.weariness *= population.options.recovery
        events: list[Event] = []
        for user, answer in zip(visitors, answers, strict=True):
            rows = np.array([shows[i] for i in answer.item_ids]).reshape(-1, len(world.aspects))
            done = visit(population, options.clicks, memories[user], round_, user, answer, rows, options.start_ms)
            _count(trace, round_, answer, done, options.cap)
            events += done.events
        for start in range(0, len(events), _CALL):
            client.record(events[start : start + _CALL])
        told((round_ + 1) / rounds)
    return trace


def past_events(world: World, population: Population, rounds: int, options: RunOptions | None = None) -> list[Event]:
    """Behaviour before the first round, on lists drawn at random: what any strategy begins with.

    Args:
        world: The catalogue.
        population: The users; their tastes of the first round hold.
        rounds: Lists that each user saw; each was looked at with fresh eyes.
        options: The same as the run's.
    """
    options = options or RunOptions()
    found: list[Event] = []
    n = min(options.n, len(world.items))
    for past in range(-rounds, 0):
        rng = np.random.default_rng([population.seed, 11, past + 1000])
        for user in range(len(population.user_ids)):
            rows = rng.choice(len(world.items), n, replace=False)
            answer = Answer("", tuple(world.items[r].id for r in rows), (False,) * n)
            memory = Memory.fresh(len(world.aspects))
            found += visit(
                population, options.clicks, memory, past, user, answer, world.shows[rows], options.start_ms
            ).events
    return found


def _read_new(
    answers: Sequence[Answer],
    shows: dict[str, NDArray[np.float64]],
    client: WorldClient,
    reader: AspectReader | None,
) -> None:
    """Let the simulator's own eye read each item it has not met, once."""
    new = sorted({i for a in answers for i in a.item_ids if i not in shows})
    if not new:
        return
    if reader is None:
        raise InvalidInputError(f"item {new[0]!r} is none of the world's, and there is no reader of new ones")
    shows.update(zip(new, reader.read(client.items(new)), strict=True))


def _count(trace: Trace, round_: int, answer: Answer, done: Visit, cap: float) -> None:
    made, n = np.array(answer.generated, bool), len(answer.item_ids)
    trace.visits[round_] += 1
    trace.clicks[round_] += done.clicked.sum()
    trace.expected[round_] += done.chances.sum()
    trace.shown[round_] += n
    trace.on_taste[round_] += done.liked.sum()
    trace.generated[round_] += made.sum()
    trace.generated_clicks[round_] += (done.clicked & made).sum()
    trace.largest_share[round_] = max(trace.largest_share[round_], float(made.mean()) if n else 0.0)
    trace.over_cap[round_] += made.sum() > math.floor(cap * n + 1e-6)
