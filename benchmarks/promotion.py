"""Canaries and rollbacks under rewards that come one by one, looked at all the time.

Prediction, written before the run: a version that is worse by more than the margin is promoted, or kept after being
promoted by force, in at most 5 % of runs (alpha); an equal one is stopped as worse in at most 5 %; an ordinary 95 %
interval looked at as often would stop an equal one in more than 25 %.
"""

from __future__ import annotations

import argparse
import time
from collections import Counter

import numpy as np

from aigc.creation.offline_gate import judge_offline
from aigc.creation.promotion import Outcome, Promoter, Promotion, Stage

CHAMPION = 0.20
CASES = (("much worse", 0.12), ("worse", 0.16), ("worse by the margin", 0.18), ("equal", 0.20), ("better", 0.24))
BATCH = 10


def run(promoter: Promoter, state: Promotion, newer: float, seed: int) -> tuple[Outcome, int]:
    """The first outcome, and the pieces of work until then: rewards in batches, a look after each."""
    rng = np.random.default_rng(seed)
    means = {1: CHAMPION, 2: newer}
    options = promoter.options
    share = options.canary_share if state.stage is Stage.CANARY else options.watch_share
    for done in range(BATCH, 4_000_000, BATCH):
        others = int(rng.binomial(BATCH, share))
        for version, count in ((state.other, others), (state.champion, BATCH - others)):
            if count:
                step = promoter.observe(state, version, (rng.random(count) < means[version]).tolist())
                if step.outcome is not Outcome.NOTHING:
                    return step.outcome, done
                state = step.state
    return Outcome.NOTHING, done


def peeking(runs: int, n: int = 20_000) -> float:
    """Share of equal models that an ordinary 95 % interval would call worse at one look or another, one every ten."""
    wrong = 0
    for seed in range(runs):
        rng = np.random.default_rng(seed)
        looks = np.arange(100, n, BATCH)
        one, other = np.cumsum(rng.random((2, n)) < CHAMPION, axis=1)[:, looks - 1] / looks
        error = np.sqrt((one * (1 - one) + other * (1 - other)) / looks)
        wrong += bool((one - other < -1.96 * error).any())
    return wrong / runs


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=200)
    runs = parser.parse_args().runs
    promoter = Promoter()
    steady = Promotion("digits", 1)
    good = judge_offline("gan", {"frechet": 10.0}, {"frechet": 10.0})
    starts = {"canary": promoter.propose(steady, 2, good).state, "forced": promoter.force(steady, 2).state}
    print(f"champion's mean reward {CHAMPION}, {runs} runs each, margin {promoter.options.margin}")
    for how, start in starts.items():
        for name, mean in CASES:
            began = time.perf_counter()
            found = [run(promoter, start, mean, seed) for seed in range(runs)]
            counts = Counter(outcome for outcome, _ in found)
            work = int(np.median([done for _, done in found]))
            told = ", ".join(f"{outcome} {count / runs:.1%}" for outcome, count in counts.most_common())
            print(f"  {how:<7} {name:<20} {told}; median {work:,} pieces of work, {time.perf_counter() - began:.1f} s")
    print(f"  an ordinary 95 % interval, looked at as often, calls an equal model worse in {peeking(runs):.1%}")


if __name__ == "__main__":
    main()
