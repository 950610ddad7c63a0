"""A profile in words, in English and Chinese, each statement with what it rests on."""

from __future__ import annotations

import calendar
from collections.abc import Sequence
from datetime import UTC, datetime

from aigc.entities import Activity, Affinity, Preferences, Statement, Topic
from aigc.profiles.affinity import Aversion
from aigc.profiles.evidence import Evidence
from aigc.profiles.habits import busy_hours

__all__ = ["state"]

_STRONG, _LATELY, _MOST = 0.15, 1.6, 0.5
_OFTEN = 0.05
_FEELING = 0.25
_MIN_EVENTS = 3


def state(
    evidence: Evidence,
    categories: Sequence[Affinity],
    tags: Sequence[Affinity],
    authors: Sequence[Affinity],
    aversions: Sequence[Aversion],
    topics: Sequence[Topic],
    activity: Activity | None,
    preferences: Preferences,
) -> tuple[Statement, ...]:
    """Statements, the most telling first; what rests on fewer than three events is not said."""
    said: list[Statement] = []
    leading = [a for a in categories if a.weight >= _STRONG and a.events >= _MIN_EVENTS][:2]
    if leading:
        since = min(a.first_event_ms for a in leading)
        ids = _examples(evidence, {a.name for a in leading})
        total = sum(a.weight for a in leading)
        share = _percent(total)
        how, how_zh = ("mostly", "主要喜欢") if total >= _MOST else ("above all", "最喜欢")
        said.append(
            Statement(
                "mostly",
                f"{how} {_and(leading)} since {_month(since)} ({share} of the liking)",
                f"自{_month_zh(since)}以来{how_zh}{_and_zh(leading)}(占喜好的{share})",
                _liked(evidence, {a.name for a in leading}),
                ids,
            )
        )
    others = [a for a in categories if a not in leading and a.events >= _MIN_EVENTS]
    rising = [a for a in others if a.recent >= max(_STRONG, _LATELY * a.weight)][:2]
    if rising:
        said.append(
            Statement(
                "lately",
                f"lately {_and(rising)}",
                f"最近偏爱{_and_zh(rising)}",
                _liked(evidence, {a.name for a in rising}),
                _examples(evidence, {a.name for a in rising}),
            )
        )
    said += [
        Statement("dislikes", f"likes {a.name} less than the rest", f"相比之下不太喜欢{a.name}", a.events, a.item_ids)
        for a in aversions[:2]
    ]
    for kind, found, english, chinese in (
        ("tag", tags, "often chooses what is tagged {}", "常选择带有“{}”标签的内容"),
        ("author", authors, "returns to {}", "常看{}的作品"),
    ):
        often = max(_MIN_EVENTS, _OFTEN * len(evidence.events))
        best = [a for a in found if a.events >= often][:1]
        said += [Statement(kind, english.format(a.name), chinese.format(a.name), a.events) for a in best]
    for topic in topics[:3]:
        if topic.comments:
            said.append(_topic(topic))
    if activity is not None and len(evidence.events) >= _MIN_EVENTS:
        said.append(_habit(activity, evidence))
    return tuple(said) + _declared(preferences)


def _topic(topic: Topic) -> Statement:
    feeling = "fondly " if topic.sentiment > _FEELING else "critically " if topic.sentiment < -_FEELING else ""
    feeling_zh = "语气积极" if topic.sentiment > _FEELING else "语气批评" if topic.sentiment < -_FEELING else "语气中性"
    return Statement(
        "topic",
        f"writes {feeling}about {topic.name} ({_percent(topic.weight)} of the comments' content)",
        f"评论常谈到{topic.name}(占评论内容的{_percent(topic.weight)}),{feeling_zh}",
        topic.comments,
        topic.item_ids,
    )


def _habit(activity: Activity, evidence: Evidence) -> Statement:
    new = "mostly new items" if activity.novelty >= 0.8 else "often returns to known items"
    new_zh = "多数是没看过的内容" if activity.novelty >= 0.8 else "常回到看过的内容"
    hours, hours_zh = "", ""
    if (busy := busy_hours(evidence)) is not None:
        hours = f", mostly between {busy[0]:02d}:00 and {busy[1]:02d}:00 UTC"
        hours_zh = f",多在UTC {busy[0]:02d}:00至{busy[1]:02d}:00"
    return Statement(
        "habit",
        f"active on {_count(activity.active_days, 'day')} in {_count(activity.sessions, 'sitting')}{hours}; {new}",
        f"活跃{activity.active_days}天,共{activity.sessions}次{hours_zh};{new_zh}",
        len(evidence.events),
    )


def _declared(preferences: Preferences) -> tuple[Statement, ...]:
    said = []
    if preferences.interests:
        names = sorted(preferences.interests, key=lambda c: (-preferences.interests[c], c))
        said.append(Statement("declared", f"says: likes {', '.join(names)}", f"自述喜欢{'、'.join(names)}", 0))
    if preferences.dislikes:
        names = list(preferences.dislikes)
        said.append(Statement("declared", f"says: no {', '.join(names)}", f"自述不喜欢{'、'.join(names)}", 0))
    return tuple(said)


def _liked(evidence: Evidence, names: set[str]) -> int:
    """Events that speak for these categories, one of several of them counted once."""
    pairs = zip(evidence.events, evidence.weights.tolist(), strict=True)
    found = (evidence.items.get(event.item_id) for event, weight in pairs if weight > 0)
    return sum(item is not None and bool(names & set(item.categories)) for item in found)


def _examples(evidence: Evidence, names: set[str]) -> tuple[str, ...]:
    """The newest five liked items of these categories."""
    found: dict[str, None] = {}
    for event, weight in zip(reversed(evidence.events), evidence.weights[::-1].tolist(), strict=True):
        item = evidence.items.get(event.item_id)
        if weight > 0 and item is not None and names & set(item.categories):
            found[event.item_id] = None
        if len(found) == 5:
            break
    return tuple(found)


def _and(affinities: Sequence[Affinity]) -> str:
    return " and ".join(a.name for a in affinities)


def _and_zh(affinities: Sequence[Affinity]) -> str:
    return "和".join(a.name for a in affinities)


def _count(n: int, noun: str) -> str:
    return f"{n:,} {noun}" if n == 1 else f"{n:,} {noun}s"


def _percent(share: float) -> str:
    return f"{share:.0%}"


def _month(time_ms: int) -> str:
    moment = datetime.fromtimestamp(time_ms / 1000, UTC)
    return f"{calendar.month_name[moment.month]} {moment.year}"


def _month_zh(time_ms: int) -> str:
    moment = datetime.fromtimestamp(time_ms / 1000, UTC)
    return f"{moment.year}年{moment.month}月"
