"""People of many habits and bots of three kinds, with times, tastes and repeats."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Trace = tuple[NDArray[np.int64], NDArray[np.int64]]
"""A user's items and times (ms), times rising."""

DAY_MS = 86_400_000
START_MS = 1_700_006_400_000  # a midnight UTC, November 2023
GENRES = 20
HABITS = {
    "ordinary": 0.76, "binge": 0.05, "list": 0.05, "swipe": 0.02, "morning": 0.03, "playlist": 0.04, "digger": 0.03,
    "night shift": 0.02,
}  # fmt: skip


@dataclass(frozen=True)
class Simulated:
    """Events in order of acceptance; ``kinds[user]`` is a habit, or ``burst``, ``crawler`` or ``replay``."""

    users: NDArray[np.int64]
    items: NDArray[np.int64]
    times_ms: NDArray[np.int64]
    types: NDArray[np.int64]
    n_items: int
    kinds: list[str]

    @property
    def bots(self) -> dict[str, set[int]]:
        return {k: {u for u, kind in enumerate(self.kinds) if kind == k} for k in ("burst", "crawler", "replay")}


class World:
    """A Zipf-popular catalogue in genres, rows in no order of popularity, and who walks in it."""

    def __init__(self, rng: np.random.Generator, n_items: int) -> None:
        self.rng, self.n_items = rng, n_items
        weight = 1.0 / (rng.permutation(n_items) + 20.0) ** rng.uniform(0.8, 1.1)
        # Series: episodes in consecutive rows, about as well known as the series is.
        self.series = []
        row = 0
        while row + 200 < n_items:
            episodes = int(self.between(6, 200))
            if rng.random() < 0.3:
                weight[row : row + episodes] = weight[row] * 0.99 ** np.arange(episodes)
                self.series.append((row, episodes))
            row += episodes
        self.fame = np.array([weight[first] for first, _ in self.series])
        genre = rng.integers(GENRES, size=n_items)
        self.genres = [np.flatnonzero(genre == g) for g in range(GENRES)]
        self.weights = [weight[rows] for rows in self.genres]
        # What everyone finds on the front page: lists that many people walk through in the same order.
        self.lists = [self.tasteful(int(rng.integers(10, 80)), 1.0)[0] for _ in range(20)]

    def between(self, low: float, high: float) -> float:
        """Log-uniform."""
        return float(np.exp(self.rng.uniform(np.log(low), np.log(high))))

    def tasteful(self, n: int, sharpness: float) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """n items of a user's genres, popular ones first when ``sharpness`` is 1, evenly when it is 0."""
        taste = self.rng.dirichlet(np.full(GENRES, 0.3))
        chosen = self.rng.choice(GENRES, n, p=taste)
        items = np.empty(n, np.int64)
        for g in np.unique(chosen):
            mass = np.cumsum(self.weights[g] ** sharpness)
            where = chosen == g
            items[where] = self.genres[g][np.searchsorted(mass, self.rng.random(where.sum()) * mass[-1])]
        return items, taste

    def visits(self, n: int, length: float, gap_s: float, sigma: float, *, shift: bool = False) -> NDArray[np.int64]:
        """n times in sessions of about ``length`` events, at the user's hours, over up to 120 days."""
        rng = self.rng
        starts_at = np.cumsum(np.concatenate([[0], rng.geometric(1 / length, n)]))
        starts_at = starts_at[starts_at < n]
        peaks = rng.choice([7.5, 12.5, 18.0, 21.5], size=int(rng.integers(1, 4)), replace=False)
        hours = rng.choice(peaks, len(starts_at)) + rng.normal(0, rng.uniform(0.5, 2.0), len(starts_at))
        days = rng.choice(max(int(self.between(2, 120)), len(starts_at) // 2), len(starts_at))
        if shift:
            hours += 8.0 * (days // 7 % 3)
        zone = rng.choice([-8, -5, 0, 1, 5.5, 8, 9])
        begin = np.sort(days * DAY_MS + ((hours - zone) * 3_600_000).astype(np.int64))
        gaps = np.exp(rng.normal(np.log(gap_s * 1000), sigma, n)).astype(np.int64)
        gaps[starts_at] = 0
        inside = np.cumsum(gaps)
        session = np.repeat(np.arange(len(starts_at)), np.diff(np.append(starts_at, n)))
        inside -= inside[starts_at][session]
        # A session that runs into the next one delays it.
        last = inside[np.append(starts_at[1:], n) - 1]
        free = np.concatenate([[0], np.cumsum(last + 60_000)[:-1]])
        begin = np.maximum.accumulate(begin - free) + free
        return START_MS + begin[session] + inside

    def person(self, habit: str) -> Trace:
        rng = self.rng
        n = int(np.clip(rng.lognormal(3.0, 1.4), 1, 2000))
        pace, sigma, sharpness = self.between(5, 240), rng.uniform(0.4, 1.3), rng.uniform(0.7, 1.2)
        if habit == "ordinary" or habit == "night shift":
            times = self.visits(n, self.between(2, 25), pace, sigma, shift=habit == "night shift")
            return self.favourites(self.tasteful(n, sharpness)[0]), times
        if habit == "digger":  # hunts what nobody knows, with the odd hit
            items = self.tasteful(n, rng.uniform(0.1, 0.5))[0]
            hits = rng.random(n) < rng.uniform(0.15, 0.4)
            items[hits] = self.tasteful(int(hits.sum()), 1.0)[0]
            return items, self.visits(n, self.between(5, 40), pace, sigma)
        if habit == "morning":  # one thing each morning, by the clock
            n = int(self.between(10, 500))
            times = np.arange(n) * DAY_MS + rng.normal(7 * 3_600_000, self.between(60_000, 1_800_000), n)
            return self.favourites(self.tasteful(n, sharpness)[0]), START_MS + np.sort(times.astype(np.int64))
        if habit == "binge":  # episodes in order, in long sittings
            chosen = rng.choice(
                len(self.series),
                min(len(self.series), int(self.between(1, 12))),
                replace=False,
                p=self.fame / self.fame.sum(),
            )
            parts = [
                first + np.arange(max(5, int(rng.uniform(0.2, 1) * n)))
                for first, n in map(self.series.__getitem__, chosen)
            ]
            items = np.concatenate(parts)
            other = rng.random(len(items)) < rng.uniform(0, 0.5)
            items[other] = self.tasteful(int(other.sum()), sharpness)[0]
            pace = self.between(60, 2700)
            return items, self.visits(len(items), min(self.between(4, 40), 18_000 / pace), pace, rng.uniform(0.1, 0.6))
        if habit == "list":  # rates page after page, some pages sent at once
            n = int(self.between(30, 1500))
            items = rng.permutation(np.unique(self.tasteful(3 * n, sharpness)[0]))[:n]
            times = self.visits(len(items), self.between(30, 400), self.between(1.5, 6), rng.uniform(0.2, 0.8))
            if rng.random() < 0.5:
                page = np.cumsum(rng.random(len(items)) < 1 / self.between(5, 60))
                times = times[np.searchsorted(page, page, "right") - 1]
            return items, times
        if habit == "swipe":  # skips through a feed as fast as a thumb can
            n = int(self.between(100, 2000))
            return self.tasteful(n, sharpness)[0], self.visits(n, self.between(50, 300), rng.uniform(0.8, 1.5), 0.5)
        return self.listener(sharpness)

    def favourites(self, items: NDArray[np.int64]) -> NDArray[np.int64]:
        """Some actions return to an earlier item."""
        back = np.flatnonzero(self.rng.random(len(items)) < self.rng.beta(1, 4))
        back = back[back > 0]
        items[back] = items[(self.rng.random(len(back)) ** 2 * back).astype(np.int64)]
        return items

    def listener(self, sharpness: float) -> Trace:
        """One playlist again and again, in order or shuffled, songs skipped, other songs between."""
        rng = self.rng
        known = self.lists[int(rng.integers(len(self.lists)))]
        own = rng.random() < 0.7
        playlist = np.unique(self.tasteful(int(self.between(8, 80)), sharpness)[0]) if own else known
        playlist = rng.permutation(playlist) if own else playlist
        in_order, skip, other = rng.uniform(0, 1), rng.uniform(0.03, 0.3), rng.uniform(0.02, 0.6)
        sittings = []
        for _ in range(int(self.between(2, 60))):
            songs = playlist if rng.random() < in_order else rng.permutation(playlist)
            songs = songs[: max(2, int(rng.uniform(0.2, 1.2) * len(songs)))]
            sittings.append(songs[rng.random(len(songs)) >= skip])
        items = np.concatenate(sittings)
        other_at = rng.random(len(items)) < other
        items[other_at] = self.tasteful(int(other_at.sum()), sharpness)[0]
        return items, self.visits(len(items), 15, 210, 0.25)

    def burst(self) -> Trace:
        rng = self.rng
        n = int(self.between(100, 5000))
        rate = self.between(3 if n >= 500 else 6, 60)
        gaps = rng.exponential(1000 / rate, n) if rng.random() < 0.5 else np.full(n, 1000 / rate)
        # The large ones may pause, each run being one burst.
        gaps[rng.random(n) < rng.choice([0.0, 0.002])] += 3_600_000
        target = self.tasteful(n, 1.0)[0]
        items = target if rng.random() < 0.5 else rng.choice(target[: int(rng.integers(1, 20))], n)
        cover = int(rng.integers(0, 40))
        times = START_MS + int(rng.uniform(0, 100) * DAY_MS) + np.cumsum(gaps).astype(np.int64)
        if cover:  # behaves as a person at other times
            items, times = (
                np.append(items, self.tasteful(cover, 1.0)[0]),
                np.append(times, self.visits(cover, 5, 40, 1)),
            )
        order = np.argsort(times, kind="stable")
        return items[order], times[order]

    def crawler(self) -> Trace:
        rng = self.rng
        n = min(int(self.between(100, 20_000)), self.n_items)
        gap_s = self.between(0.5, max(1.0, min(3600.0, 200 * 86_400 / n)))
        jitter = rng.choice(["none", "small", "exponential", "wide"])
        gaps = {
            "none": np.full(n, gap_s),
            "small": gap_s * rng.uniform(0.7, 1.3, n),
            "exponential": rng.exponential(gap_s, n),
            "wide": gap_s * rng.lognormal(0, 1.0, n),
        }[str(jitter)]
        if rng.random() < 0.25:  # a nightly job
            gaps[:: int(self.between(50, 1000))] += 80_000
        items = rng.permutation(self.n_items)[:n]
        if rng.random() < 0.4:  # in order
            items = (int(rng.integers(self.n_items)) + np.arange(n)) % self.n_items
        again = rng.random(n) < rng.choice([0.0, 0.0, 0.05])
        items[again] = items[rng.integers(n, size=int(again.sum()))]
        return items, START_MS + np.cumsum(gaps * 1000).astype(np.int64)

    def replay(self, script: NDArray[np.int64], pace_s: NDArray[np.float64], times: int) -> Trace:
        rng = self.rng
        items = np.tile(script, times)
        jitter = rng.choice([0.0, 0.1, 0.3])
        gaps = np.tile(pace_s, times) * rng.lognormal(0, jitter, len(items))
        gaps[:: len(script)] += rng.choice([0.0, 60.0, 3600.0, 86_400.0])
        if times >= 10:  # a request that fails now and then
            kept = rng.random(len(items)) >= rng.choice([0.0, 0.01, 0.02])
            items, gaps = items[kept], gaps[kept]
        return items, START_MS + int(rng.uniform(0, 50) * DAY_MS) + np.cumsum(gaps * 1000).astype(np.int64)

    def replays(self, n: int) -> list[Trace]:
        """n accounts: gangs of three or four with one script between them, the others with one of their own."""
        found: list[Trace] = []
        while len(found) < n:
            gang = int(self.rng.integers(3, 5)) if len(found) in (0, 1, 2, 3, 4) and n - len(found) >= 4 else 1
            length = int(self.between(25 if gang > 1 else 5, 51))
            script = self.tasteful(length, 1.0)[0]
            pace = self.between(1, 300) * self.rng.lognormal(0, self.rng.choice([0.0, 1.0]), length)
            repeats = int(self.rng.integers(1, 4)) if gang > 1 else int(self.between(5, 101))
            found += [self.replay(script, pace, repeats) for _ in range(gang)]
        return found[:n]


def simulate(
    seed: int, people: int = 4950, bots: tuple[int, int, int] = (17, 17, 16), n_items: int = 20_000
) -> Simulated:
    """People by ``HABITS`` and bots (burst, crawler, replay) in random order of rows."""
    rng = np.random.default_rng(seed)
    world = World(rng, n_items)
    habits = rng.choice(list(HABITS), people, p=list(HABITS.values())).tolist()
    traces = [world.person(habit) for habit in habits]
    makers: tuple[Callable[[], Trace], Callable[[], Trace]] = (world.burst, world.crawler)
    traces += [make() for make, count in zip(makers, bots[:2], strict=True) for _ in range(count)]
    traces += world.replays(bots[2])
    kinds = habits + ["burst"] * bots[0] + ["crawler"] * bots[1] + ["replay"] * bots[2]
    rows = rng.permutation(len(traces))
    user = np.repeat(rows, [len(items) for items, _ in traces])
    item, time = (np.concatenate([trace[column] for trace in traces]) for column in (0, 1))
    # One action in seven leaves a second event, such as the like after the view, before the user moves on.
    until = np.append(time[1:] - time[:-1], 4000)
    until[np.append(user[1:] != user[:-1], True)] = 4000
    liked = np.flatnonzero((rng.random(len(user)) < 0.15) & (until > 0))
    delay = (np.minimum(until[liked], 4000) * rng.uniform(0.1, 0.9, len(liked))).astype(np.int64)
    user, item = np.append(user, user[liked]), np.append(item, item[liked])
    time, kind = np.append(time, time[liked] + delay), np.append(np.zeros(len(time), np.int64), np.ones_like(liked))
    order = np.argsort(time, kind="stable")
    named = [kinds[i] for i in np.argsort(rows)]
    return Simulated(user[order], item[order], time[order], kind[order], n_items, named)
