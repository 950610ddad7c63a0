"""Crawlers: who visits the catalogue evenly, or in order, as no taste does."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from aigc.prepare.bot_history import History
from aigc.prepare.bot_options import BotFinding, BotOptions, beyond

__all__ = ["find_crawlers"]

_LEVELS = 32
_HOUR_MS = 3_600_000


def find_crawlers(history: History, options: BotOptions) -> list[BotFinding]:
    """Users without a taste: an even visit at any hours, or a machine's hours with an even or ordered visit."""
    n_users = len(history.counts)
    steps = history.steps()
    pairs = np.unique(steps.users * history.n_items + steps.items)
    distinct = np.bincount(pairs // history.n_items, minlength=n_users)
    divergence, doubt = _divergence(pairs, distinct, history.n_items)
    active = distinct >= options.min_actions
    if not active.any():
        return []
    typical = float(np.median(divergence[active]))
    # A second visit of the whole catalogue is no return to a favourite.
    repeats = 1.0 - distinct / np.clip(steps.counts, 1, history.n_items)
    enough = (distinct >= options.crawler_actions) & (repeats <= options.crawler_repeats)
    variation, quiet = _gap_variation(history), _quiet_share(history)
    steady = (variation <= options.steady_gap_cv) | (quiet >= options.quiet_share)
    limit = min(options.crawler_divergence, options.crawler_share * typical)
    chance = np.maximum(doubt, np.where(steady, options.crawler_even_steady, options.crawler_even))
    even = enough & (divergence + doubt <= limit) & (divergence <= chance)
    stride = _common_stride(steps)
    ordered = enough & steady & (stride >= options.crawler_stride) & (distinct >= 2 * options.crawler_actions)

    found = []
    for user in np.flatnonzero(even | ordered).tolist():
        evidence = (
            f"{distinct[user]:,} of {history.n_items:,} items, {max(repeats[user], 0.0):.0%} of steps back to one"
        )
        score = 0.5
        if even[user]:
            evidence += (
                f"; divergence from an even visit {max(divergence[user], 0.0):.2f}, the median user's {typical:.2f}"
            )
            score = max(score, float(1.0 - 0.5 * max(divergence[user], 0.0) / chance[user]))
        if ordered[user]:
            evidence += f"; {stride[user]:.0%} of steps of one distance in the catalogue"
            score = max(score, beyond(stride[user], options.crawler_stride))
        if quiet[user] >= options.quiet_share:
            evidence += f"; {quiet[user]:.0%} of actions in the quietest six hours of the day"
        if variation[user] <= options.steady_gap_cv:
            evidence += f"; gaps vary by {variation[user]:.2f} of their mean"
        found.append(BotFinding(user, "crawler", score, evidence))
    return found


def _divergence(
    pairs: NDArray[np.int64], distinct: NDArray[np.int64], n_items: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """KL divergence of each user's levels of popularity from the catalogue's, and two standard errors of it.

    An item's popularity is the number of *other* users who visited it, on a scale of powers of two; the catalogue's
    levels are counted for each user without that user, so the comparison is exact for any number of visits.
    """
    user, item = pairs // n_items, pairs % n_items
    popularity = np.bincount(item, minlength=n_items)
    levels = np.frexp(popularity.astype(np.float64))[1]
    others = np.frexp((popularity[item] - 1).astype(np.float64))[1]
    shape = (len(distinct), _LEVELS)
    seen = np.bincount(user * _LEVELS + others, minlength=shape[0] * _LEVELS).reshape(shape)
    before = np.bincount(user * _LEVELS + levels[item], minlength=shape[0] * _LEVELS).reshape(shape)
    catalogue = np.bincount(levels, minlength=_LEVELS) - before + seen
    n = np.maximum(distinct, 1)[:, None]
    share, even = seen / n, catalogue / n_items
    ratio = np.divide(share, even, out=np.ones(shape), where=seen > 0)
    freedom = np.maximum((catalogue > 0).sum(axis=1) - 1, 1)
    # Miller and Madow's correction; twice n times the divergence is chi-squared under an even visit.
    divergence = (share * np.log(ratio)).sum(axis=1) - ((seen > 0).sum(axis=1) - 1) / (2 * n[:, 0])
    return divergence, 2 * np.sqrt(2 * freedom) / (2 * n[:, 0])


def _gap_variation(history: History) -> NDArray[np.float64]:
    """(n_users,) coefficient of variation of the gaps between instants; infinite below 20 instants."""
    instants = history.instants()
    n_users = len(history.counts)
    gaps = instants.gaps_ms / 1000.0
    n = np.maximum(instants.counts - 1, 1)
    mean = np.bincount(instants.users, gaps, n_users) / n
    spread = np.where(instants.same_user, gaps - mean[instants.users], 0.0)
    variation = np.sqrt(np.bincount(instants.users, spread**2, n_users) / n) / np.maximum(mean, 1e-9)
    return np.where(instants.counts >= 20, variation, np.inf)


def _quiet_share(history: History) -> NDArray[np.float64]:
    """(n_users,) share of a user's actions in the quietest six hours of the day; 0 below two days or 24 hours."""
    n_users = len(history.counts)
    hour = history.times_ms // _HOUR_MS
    slots = np.bincount(history.users * 24 + hour % 24, minlength=n_users * 24).reshape(n_users, 24)
    wrapped = np.cumsum(np.concatenate([np.zeros((n_users, 1), np.int64), slots, slots[:, :5]], axis=1), axis=1)
    quietest = (wrapped[:, 6:] - wrapped[:, :-6]).min(axis=1)
    changed = history.same_user
    changed[1:] &= hour[1:] != hour[:-1]
    hours = np.bincount(history.users[changed], minlength=n_users)
    span = np.bincount(history.users, history.gaps_ms.astype(np.float64), n_users)
    share: NDArray[np.float64] = quietest / np.maximum(history.counts, 1)
    return np.where((hours >= 24) & (span >= 48 * _HOUR_MS), share, 0.0)


def _common_stride(steps: History) -> NDArray[np.float64]:
    """(n_users,) share of a user's steps that have the user's most common distance in the catalogue."""
    distance = np.zeros(len(steps.items), np.int64)
    distance[1:] = np.diff(steps.items)
    width = 2 * steps.n_items + 1
    same = steps.same_user
    codes, times = np.unique(steps.users[same] * width + distance[same] + steps.n_items, return_counts=True)
    most = np.zeros(len(steps.counts), np.int64)
    np.maximum.at(most, codes // width, times)
    share: NDArray[np.float64] = most / np.maximum(steps.counts - 1, 1)
    return share
