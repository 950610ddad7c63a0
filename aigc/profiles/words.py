"""A profile in words, in English and Chinese, each statement with what it rests on."""

from __future__ import annotations

import calendar
from collections.abc import Sequence
from datetime import UTC, datetime

from aigc.entities import Activity, Affinity, Preferences, Statement, Topic
from aigc.profiles.affinity import Aversion
from aigc.profiles.evidence import Evidence

__all__ = ["state"]

_STRONG, _LATELY = 0.15, 1.6
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
        share = _percent(sum(a.weight for a in leading))
        said.append(
            Statement(
                "mostly",
                f"mostly {_and(leading)} since {_month(since)} ({share} of the liking)",
                f"自{_month_zh(since)}以来主要喜欢{_and_zh(leading)}(占喜好的{share})",
                sum(a.events for a in leading),
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
                sum(a.events for a in rising),
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
        best = [a for a in found if a.events >= _MIN_EVENTS][:1]
        said += [Statement(kind, english.format(a.name), chinese.format(a.name), a.events) for a in best]
    for topic in topics[:3]:
        if topic.comments:
            said.append(_topic(topic))
    if activity is not None and len(evidence.events) >= _MIN_EVENTS:
        said.append(_habit(activity, len(evidence.events)))
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


def _habit(activity: Activity, events: int) -> Statement:
    new = "mostly new items" if activity.novelty >= 0.8 else "often returns to known items"
    new_zh = "多数是没看过的内容" if activity.novelty >= 0.8 else "常回到看过的内容"
    return Statement(
        "habit",
        f"active on {activity.active_days} days in {activity.sessions} sittings, mostly around "
        f"{activity.busiest_hour:02d}:00 UTC; {new}",
        f"活跃{activity.active_days}天,共{activity.sessions}次,多在UTC {activity.busiest_hour:02d}:00前后;{new_zh}",
        events,
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


def _percent(share: float) -> str:
    return f"{share:.0%}"


def _month(time_ms: int) -> str:
    moment = datetime.fromtimestamp(time_ms / 1000, UTC)
    return f"{calendar.month_name[moment.month]} {moment.year}"


def _month_zh(time_ms: int) -> str:
    moment = datetime.fromtimestamp(time_ms / 1000, UTC)
    return f"{moment.year}年{moment.month}月"
