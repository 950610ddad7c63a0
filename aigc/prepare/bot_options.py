"""What the search for bots goes by, and what it gives."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["BotFinding", "BotOptions", "beyond"]


@dataclass(frozen=True, slots=True)
class BotOptions:
    """Limits that people stay clear of, in any catalogue.

    An **action** is an event, or several types of event on one item within ``echo_ms`` (a view, a click, a like).
    A **step** is a run of actions on one item.

    Attributes:
        echo_ms: Events of other types on the same item within this time belong to one action.
        min_actions: Users with fewer actions are never flagged, and are no measure for others.
        burst_10s: Actions within ten seconds that no person reaches: four a second, kept up.
        burst_60s: Actions within a minute that no person reaches: two a second, kept up.
        burst_margin: The limits rise to this many times the upper quartile of users' peaks, for logs in which
            one gesture leaves many events.
        upload_ms: Actions this close together are one upload of a page, counted once.
        second_cap: Actions counted a second where times are whole seconds: an upload and a burst look alike there.
        crawler_actions: A crawler has at least this many distinct items.
        crawler_divergence: Kullback–Leibler divergence (nats) of what a user visits from an even visit of the
            catalogue, over levels of popularity; a crawler is surely below it (the least in MovieLens is 0.3).
        crawler_share: The same as a share of the median user's divergence; the lower of the two counts.
        crawler_even: An even visit diverges by chance alone, or by no more than this; who has seen the whole of
            some genres diverges more.
        crawler_even_steady: The same for who also keeps a machine's hours.
        crawler_repeats: The largest share of steps that return to an item.
        crawler_stride: Share of steps of one and the same distance in the catalogue: a crawl in order.
        steady_gap_cv: Coefficient of variation of gaps, pauses included; people who leave and return are above 2.
        quiet_share: Share of actions in the quietest six hours of the day; even is 0.25, sleepers have near 0.
        replay_coverage: Share of steps that follow two items which the user has visited in this order before.
        replay_certainty: Share of those steps that go on as before.
        replay_items: Distinct items, or distinct gaps, of a script.
        script_accounts: Accounts with one script between them.
        script_share: Share of an account's sequences of five items that the others have too.
        script_pace: The largest ratio between the accounts' paces over a sequence.
        script_alike: Share of the shared sequences that keep to it; the sessions of people break more of them.
    """

    echo_ms: int = 5_000
    min_actions: int = 20
    burst_10s: int = 40
    burst_60s: int = 120
    burst_margin: float = 4.0
    upload_ms: int = 10
    second_cap: int = 5
    crawler_actions: int = 50
    crawler_divergence: float = 0.2
    crawler_share: float = 0.25
    crawler_even: float = 0.02
    crawler_even_steady: float = 0.05
    crawler_repeats: float = 0.2
    crawler_stride: float = 0.8
    steady_gap_cv: float = 1.5
    quiet_share: float = 0.17
    replay_coverage: float = 0.6
    replay_certainty: float = 0.9
    replay_items: int = 4
    script_accounts: int = 3
    script_share: float = 0.9
    script_pace: float = 2.0
    script_alike: float = 0.8


@dataclass(frozen=True, slots=True)
class BotFinding:
    """One reason to take a user for a bot.

    Attributes:
        user: The user's row.
        kind: ``burst``, ``crawler`` or ``replay``.
        score: 0.5 at the limit, towards 1 far beyond it.
        evidence: The figures in plain English.
    """

    user: int
    kind: str
    score: float
    evidence: str


def beyond(value: float, limit: float) -> float:
    """A score for a value at or above its limit: 0.5 at the limit, towards 1 far above."""
    return float(1.0 - 0.5 * limit / value)
