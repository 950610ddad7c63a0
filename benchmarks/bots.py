"""Bots found and people flagged: ten simulated worlds of 4,950 people and 50 bots, and the people of MovieLens."""

from __future__ import annotations

import sys
import time
from collections import Counter
from pathlib import Path

from measure import one_core

one_core()

import numpy as np  # noqa: E402

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from aigc.prepare.bots import find_bots  # noqa: E402
from tests.prepare.simulated_users import simulate  # noqa: E402

SEEDS = 10
RECALL_GOAL, PEOPLE_GOAL = 0.95, 0.005
RATINGS = ROOT.parent / "shared" / "data" / "ml-latest-small" / "ratings.csv"


def simulated() -> bool:
    print("seed   events   burst  crawler  replay   bots found   right kind   people flagged   s / 1M events")
    met = True
    for seed in range(SEEDS):
        world = simulate(seed)
        started = time.perf_counter()
        found = find_bots(world.users, world.items, world.times_ms, world.types, len(world.kinds), world.n_items)
        seconds = (time.perf_counter() - started) / len(world.users) * 1e6
        flagged = {finding.user for finding in found}
        right = sum(len(bots & {f.user for f in found if f.kind == kind}) for kind, bots in world.bots.items())
        bots = set().union(*world.bots.values())
        recall = len(bots & flagged) / len(bots)
        people = len(flagged - bots) / (len(world.kinds) - len(bots))
        met &= recall >= RECALL_GOAL and people <= PEOPLE_GOAL
        by_kind = "  ".join(f"{len(b & flagged):>3}/{len(b):<3}" for b in world.bots.values())
        print(
            f"{seed:>4} {len(world.users):>8,}  {by_kind} {recall:>11.1%} {right / len(bots):>12.1%}"
            f" {len(flagged - bots):>8} ({people:.2%}) {seconds:>12.2f}"
        )
    return met


def movielens() -> bool:
    """The real people alone, which is the goal, then with simulated bots among them, at whole seconds."""
    if not RATINGS.is_file():
        print(f"MovieLens: left out, {RATINGS} is absent")
        return True
    table = np.loadtxt(RATINGS, delimiter=",", skiprows=1)
    users, items = (np.unique(table[:, column], return_inverse=True)[1] for column in (0, 1))
    n_users, n_items = int(users.max()) + 1, int(items.max()) + 1
    times = table[:, 3].astype(np.int64) * 1000
    alone = {f.user for f in find_bots(users, items, times, np.zeros(len(users), np.int64), n_users, n_items)}
    print(f"MovieLens: {len(alone)} of {n_users} real people flagged")

    hits, sizes, people = Counter[str](), Counter[str](), []
    for seed in range(SEEDS):
        world = simulate(seed, people=0, bots=(5, 5, 6), n_items=n_items)
        found = find_bots(
            np.concatenate([users, world.users + n_users]),
            np.concatenate([items, world.items]),
            np.concatenate([times, world.times_ms // 1000 * 1000]),
            np.concatenate([np.zeros(len(users), np.int64), world.types]),
            n_users + len(world.kinds),
            n_items,
        )
        flagged = {finding.user - n_users for finding in found}
        people.append(sum(user < 0 for user in flagged))
        for kind, bots in world.bots.items():
            hits[kind] += len(bots & flagged)
            sizes[kind] += len(bots)
    kinds = ", ".join(f"{kind} {hits[kind]}/{sizes[kind]}" for kind in hits)
    print(
        f"MovieLens with 16 bots, {SEEDS} times, times in whole seconds: {kinds}; people flagged at most {max(people)}"
    )
    return len(alone) <= PEOPLE_GOAL * n_users


goals = [simulated(), movielens()]
verdict = "met" if all(goals) else "MISSED"
print(f"goal: at least {RECALL_GOAL:.0%} of bots, at most {PEOPLE_GOAL:.1%} of people, every time: {verdict}")
