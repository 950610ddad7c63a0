"""Bursts: a rate that no person keeps up."""

from __future__ import annotations

import numpy as np

from aigc.prepare.bot_history import History
from aigc.prepare.bot_options import BotFinding, BotOptions, beyond

__all__ = ["find_bursts"]


def find_bursts(history: History, options: BotOptions) -> list[BotFinding]:
    """Users whose fastest ten seconds or minute lies above what people reach.

    Equal times count once: a person who sends a page of ratings leaves up to 200 of them at one instant
    (MovieLens), yet never acts at more than 8 instants in ten seconds.
    """
    actions = _without_uploads(history, options)
    clock, row = actions.clock_ms, np.arange(len(actions.users))
    active = history.counts >= options.min_actions
    found: dict[int, BotFinding] = {}
    for seconds, floor in ((10, options.burst_10s), (60, options.burst_60s)):
        within = np.searchsorted(clock, clock + seconds * 1000, "left") - row
        peaks = np.zeros(len(history.counts), np.int64)
        np.maximum.at(peaks, actions.users, within)
        if not active.any():
            break
        # A quartile, for bots may be several in a hundred of the active users.
        crowd = peaks[active] if active.sum() >= options.min_actions else np.zeros(1)
        limit = max(float(floor), options.burst_margin * float(np.quantile(crowd, 0.75)))
        over = active & (peaks >= limit)
        people = peaks[(history.counts > 0) & ~over]
        reached = f"{np.quantile(people, 0.999):.0f}" if len(people) else "0"
        for user in np.flatnonzero(over).tolist():
            peak = int(peaks[user])
            evidence = f"{peak:,} actions in {seconds} s; the fastest 0.1 % of people reach {reached}"
            finding = BotFinding(user, "burst", beyond(peak, limit), evidence)
            if user not in found or finding.score > found[user].score:
                found[user] = finding
    return list(found.values())


def _without_uploads(history: History, options: BotOptions) -> History:
    if not len(history.users):
        return history
    whole_seconds = not (history.times_ms % 1000).any()
    cell = history.times_ms // (1000 if whole_seconds else options.upload_ms)
    cap = options.second_cap if whole_seconds else 1
    same = history.same_user
    same[1:] &= cell[1:] == cell[:-1]
    row = np.arange(len(cell))
    place = row - np.maximum.accumulate(np.where(same, 0, row))
    return history.where(place < cap)
