"""Replays: the same items, or the same gaps, in the same order again and again."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from aigc.prepare.bot_history import History, mix
from aigc.prepare.bot_options import BotFinding, BotOptions, beyond

__all__ = ["find_replays"]

_GRAM = 5
_GAP_MS = 100


def find_replays(history: History, options: BotOptions) -> list[BotFinding]:
    """Users who follow a script: their own over and over, or one that other accounts follow at the same pace."""
    steps, instants = history.steps(), history.instants()
    gaps = (instants.gaps_ms + _GAP_MS // 2) // _GAP_MS
    apart = instants.same_user
    found: dict[int, BotFinding] = {}
    for what, users, tokens in (("items", steps.users, steps.items), ("gaps", instants.users[apart], gaps[apart])):
        for finding in _find_repeats(what, users, tokens, len(history.counts), options):
            found.setdefault(finding.user, finding)
    for finding in _find_shared(steps, options):
        found.setdefault(finding.user, finding)
    return list(found.values())


def _find_repeats(
    what: str, users: NDArray[np.int64], tokens: NDArray[np.int64], n_users: int, options: BotOptions
) -> list[BotFinding]:
    """How surely two tokens in a row foretell the third, where they have been seen in a row before."""
    third = np.flatnonzero(users[2:] == users[:-2])
    if not len(third):
        return []
    owner = users[third]
    context = mix(mix(owner.astype(np.uint64), tokens[third]), tokens[third + 1])
    chain = mix(context, tokens[third + 2])
    order = np.lexsort((chain, context))
    context, chain, owner = context[order], chain[order], owner[order]
    chains = _run_starts(chain)
    firsts = _run_starts(context[chains])
    most = np.maximum.reduceat(np.diff(np.append(chains, len(chain))), firsts)
    holder = owner[chains[firsts]]

    total = np.bincount(owner, minlength=n_users)
    contexts = np.bincount(holder, minlength=n_users)
    as_before = np.bincount(holder, most, n_users) - contexts
    again = total - contexts
    coverage, certainty = again / np.maximum(total, 1), as_before / np.maximum(again, 1)
    firsts = np.unique(mix(users.astype(np.uint64), tokens), return_index=True)[1]
    distinct = np.bincount(users[firsts], minlength=n_users)
    flagged = (
        (total + 2 >= options.min_actions)
        & (distinct >= options.replay_items)
        & (coverage >= options.replay_coverage)
        & (certainty >= options.replay_certainty)
    )
    return [
        BotFinding(
            user,
            "replay",
            beyond(coverage[user] * certainty[user], options.replay_coverage * options.replay_certainty),
            f"{distinct[user]} {what} in {total[user] + 2:,} steps; {coverage[user]:.0%} of steps follow two {what} "
            f"seen in this order before, and {certainty[user]:.0%} of those go on as before",
        )
        for user in np.flatnonzero(flagged).tolist()
    ]


def _find_shared(steps: History, options: BotOptions) -> list[BotFinding]:
    """Accounts whose sequences of five items are also those of others, done in about the same time."""
    eligible = steps.where((steps.counts >= options.min_actions)[steps.users])
    users, n_users = eligible.users, len(steps.counts)
    start = np.flatnonzero(users[_GRAM - 1 :] == users[: len(users) - _GRAM + 1])
    if not len(start):
        return []
    owner = users[start]
    gram = np.zeros(len(start), np.uint64)
    for place in range(_GRAM):
        gram = mix(gram, eligible.items[start + place])
    took = np.log(1000.0 + eligible.times_ms[start + _GRAM - 1] - eligible.times_ms[start])
    # Each account's sequences once, or its own repeats would look shared.
    once = np.unique(mix(gram, owner), return_index=True)[1]
    owner, gram, took = owner[once], gram[once], took[once]
    order = np.lexsort((took, gram))
    owner, gram, took = owner[order], gram[order], took[order]
    starts = _run_starts(gram)
    sizes = np.diff(np.append(starts, len(gram)))
    accounts = np.repeat(sizes, sizes)
    apart = np.abs(took - np.repeat(took[starts + sizes // 2], sizes))

    total = np.bincount(owner, minlength=n_users)
    shared = accounts >= options.script_accounts
    alike = shared & (apart <= np.log(options.script_pace))
    share = np.bincount(owner[shared], minlength=n_users) / np.maximum(total, 1)
    pace = np.bincount(owner[alike], minlength=n_users) / np.maximum(total * share, 1)
    most = np.zeros(n_users, np.int64)
    np.maximum.at(most, owner[shared], accounts[shared])
    flagged = (share >= options.script_share) & (pace >= options.script_alike)
    return [
        BotFinding(
            user,
            "replay",
            beyond(share[user] * pace[user], options.script_share * options.script_alike),
            f"{share[user]:.0%} of its {total[user]:,} sequences of {_GRAM} items are those of {most[user] - 1} other "
            f"accounts too, {pace[user]:.0%} of them at the same pace",
        )
        for user in np.flatnonzero(flagged).tolist()
    ]


def _run_starts(codes: NDArray[np.uint64]) -> NDArray[np.int64]:
    """Where each run of equal codes begins."""
    return np.flatnonzero(np.concatenate([[True], codes[1:] != codes[:-1]])[: len(codes)])
