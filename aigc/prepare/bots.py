"""Users who are programs, told from people by what no person does.

Their events would teach a model the tastes of a script; training leaves these users out.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from aigc.errors import InvalidInputError
from aigc.prepare.bot_bursts import find_bursts
from aigc.prepare.bot_crawlers import find_crawlers
from aigc.prepare.bot_history import History
from aigc.prepare.bot_options import BotFinding, BotOptions
from aigc.prepare.bot_replays import find_replays

__all__ = ["BotFinding", "BotOptions", "find_bots"]

_DEFAULTS = BotOptions()


def find_bots(
    users: NDArray[np.int64],
    items: NDArray[np.int64],
    times_ms: NDArray[np.int64],
    types: NDArray[np.integer],
    n_users: int,
    n_items: int,
    options: BotOptions = _DEFAULTS,
) -> list[BotFinding]:
    """Look for bursts, crawlers and replays; ``BotOptions`` says what each is.

    Args:
        users: (n,) int64 rows below ``n_users``, in any order.
        items: (n,) int64 rows below ``n_items``.
        times_ms: (n,) int64, milliseconds since the epoch; events at equal times keep the order they are given in.
        types: (n,) codes of the event types, any integers.
        n_users: How many users there are.
        n_items: Size of the catalogue, items without an event included.
        options: The limits.

    Returns:
        Findings by user, strongest first; a user may be found for more than one reason.

    Raises:
        InvalidInputError: The arrays differ in length, or a row is out of range.
    """
    if not len(users) == len(items) == len(times_ms) == len(types):
        raise InvalidInputError("users, items, times_ms and types differ in length; give one of each per event")
    for name, rows, size in (("users", users, n_users), ("items", items, n_items)):
        if len(rows) and (rows.min() < 0 or rows.max() >= size):
            raise InvalidInputError(f"{name} holds a row outside 0..{size - 1}; give rows of the table", field=name)
    if not len(users):
        return []
    history = History.build(users, items, times_ms, types, n_users, n_items, options.echo_ms)
    found = find_bursts(history, options) + find_crawlers(history, options) + find_replays(history, options)
    return sorted(found, key=lambda finding: (finding.user, -finding.score, finding.kind))
