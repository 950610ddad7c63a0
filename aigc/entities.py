"""The nouns of the domain: plain, frozen, free of any wire or storage type."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

__all__ = [
    "Activity",
    "Affinity",
    "CategoryAffinity",
    "Creation",
    "CreationState",
    "Event",
    "Item",
    "ItemContent",
    "Neighbour",
    "Preferences",
    "Profile",
    "Recommendation",
    "RecommendedItem",
    "SourceShare",
    "Statement",
    "Taste",
    "Topic",
]


@dataclass(frozen=True, slots=True)
class ItemContent:
    """The bytes of an item's picture or sound.

    Attributes:
        media_type: An IANA media type, such as ``image/png``.
        data: The encoded file, as it was received.
    """

    media_type: str
    data: bytes


@dataclass(frozen=True, slots=True)
class Item:
    """What is recommended or generated.

    Attributes:
        id: The caller's own identifier, unique in the catalogue.
        kind: ``text``, ``image`` or ``audio``, or a name of the caller's own such as ``movie``.
        title: One line that a reader recognises the item by.
        text: The body, where there is one.
        categories: Names the item can be filtered by.
        tags: Free keywords, part of the text embedding.
        author: Who made it.
        language: A BCP 47 tag, empty when unknown.
        created_ms: When the item came into being, milliseconds since the epoch, UTC.
        hidden: True keeps the item in the catalogue and out of every answer.
        generated: True for an item that a model made.
        attributes: Further named strings, kept and returned as they are.
        content: The item's picture or sound; None when it has none or when it was not asked for.
    """

    id: str
    kind: str = "text"
    title: str = ""
    text: str = ""
    categories: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    author: str = ""
    language: str = ""
    created_ms: int = 0
    hidden: bool = False
    generated: bool = False
    attributes: Mapping[str, str] = field(default_factory=dict)
    content: ItemContent | None = None


@dataclass(frozen=True, slots=True)
class Event:
    """An immutable record of one action of a user on an item.

    Attributes:
        id: The idempotency key: a second event of the same id changes nothing.
        user_id: Who acted.
        item_id: On what.
        type: A key of the settings' event weights, such as ``view``, ``like`` or ``rating``.
        time_ms: When it happened, milliseconds since the epoch, UTC.
        value: The stars of a ``rating``, the seconds of a ``watch``; None when the type says it all.
        recommendation_id: The answer that led to the action, empty when none did.
        text: What the user wrote, for a ``comment``.
    """

    id: str
    user_id: str
    item_id: str
    type: str
    time_ms: int
    value: float | None = None
    recommendation_id: str = ""
    text: str = ""


@dataclass(frozen=True, slots=True)
class Preferences:
    """What a user declared, as opposed to what was seen of them.

    Attributes:
        user_id: Whose wishes these are.
        interests: Category name → weight in (0, 1].
        dislikes: Categories never to recommend.
        allow_generated: False keeps generated items out of this user's answers.
        allow_personalisation: False makes every answer the one a stranger would get.
    """

    user_id: str
    interests: Mapping[str, float] = field(default_factory=dict)
    dislikes: tuple[str, ...] = ()
    allow_generated: bool = True
    allow_personalisation: bool = True


@dataclass(frozen=True, slots=True)
class CategoryAffinity:
    """How much a user's behaviour leans to a category.

    Attributes:
        category: The category's name.
        weight: Share of the user's decayed positive weight, in [0, 1]; shares sum to 1.
        events: How many events the weight rests on.
    """

    category: str
    weight: float
    events: int


@dataclass(frozen=True, slots=True)
class Affinity:
    """How much a user's behaviour leans to a category, a tag or an author, over a long and over a short time.

    Attributes:
        name: The category's, tag's or author's.
        weight: Share of the positive weight that fades over months, in [0, 1].
        recent: The same of the weight that fades over days.
        events: How many events it rests on.
        first_event_ms: Time of the oldest of them.
    """

    name: str
    weight: float
    recent: float
    events: int
    first_event_ms: int


@dataclass(frozen=True, slots=True)
class Taste:
    """Items near each other that a user likes: one of several tastes.

    Attributes:
        share: Of the user's positive weight, in (0, 1].
        names: What its items have in common: categories and tags, the most telling first.
        item_ids: Its weightiest items, five at most.
        events: How many events it rests on.
    """

    share: float
    names: tuple[str, ...]
    item_ids: tuple[str, ...]
    events: int


@dataclass(frozen=True, slots=True)
class Activity:
    """Habits: when, how often and how adventurously a user acts.

    Attributes:
        events_per_week: Over the whole of the user's time, one week at least.
        active_days: Days (UTC) with an event.
        sessions: Runs of events with no gap above half an hour.
        busiest_hour: Hour (UTC) with most events, 0 to 23.
        novelty: Share of events on items the user had not met before, in [0, 1].
        breadth: Share of the categories met that came new in the later half of the events, in [0, 1].
    """

    events_per_week: float
    active_days: int
    sessions: int
    busiest_hour: int
    novelty: float
    breadth: float


@dataclass(frozen=True, slots=True)
class Topic:
    """What a user writes about.

    Attributes:
        name: A category of the catalogue.
        weight: Share of what the user wrote, in (0, 1].
        comments: Texts that are mainly about it.
        sentiment: How the user speaks of it, from -1 (against) to 1 (for).
        item_ids: The items discussed, the newest first, five at most.
    """

    name: str
    weight: float
    comments: int
    sentiment: float
    item_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Statement:
    """One sentence about a user, in two languages, with what it rests on.

    Attributes:
        kind: ``mostly``, ``lately``, ``dislikes``, ``tag``, ``author``, ``topic``, ``habit`` or ``declared``.
        english: The sentence.
        chinese: The same.
        events: How many events it rests on.
        item_ids: Items among them, five at most.
    """

    kind: str
    english: str
    chinese: str
    events: int
    item_ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Profile:
    """State derived from a user's events and declarations.

    Attributes:
        user_id: Whose profile it is.
        affinities: Strongest first.
        embedding: ``embedding_size`` floats of unit length, empty when no event has an embedded item.
        preferences: What the user declared.
        event_count: Events the profile rests on.
        first_event_ms: Time of the oldest of them, 0 when there is none.
        last_event_ms: Time of the newest of them, 0 when there is none.
        categories: Leanings to categories, long and short, strongest first.
        tags: Leanings to tags, twenty at most.
        authors: Leanings to authors, twenty at most.
        tastes: Several tastes rather than one mean, largest first.
        activity: Habits; None without an event.
        topics: What the user writes about, largest share first.
        statements: All of it in words.
    """

    user_id: str
    affinities: tuple[CategoryAffinity, ...]
    embedding: tuple[float, ...]
    preferences: Preferences
    event_count: int
    first_event_ms: int
    last_event_ms: int
    categories: tuple[Affinity, ...] = ()
    tags: tuple[Affinity, ...] = ()
    authors: tuple[Affinity, ...] = ()
    tastes: tuple[Taste, ...] = ()
    activity: Activity | None = None
    topics: tuple[Topic, ...] = ()
    statements: tuple[Statement, ...] = ()


@dataclass(frozen=True, slots=True)
class SourceShare:
    """What one source contributed to an item's score; the shares of an item sum to 1."""

    source: str
    share: float


@dataclass(frozen=True, slots=True)
class Neighbour:
    """An item of the user's history, or a similar user, that caused a recommendation.

    Attributes:
        id: The item's or user's id.
        title: The item's title, empty for a user.
        kind: ``item`` or ``user``.
        share: Part of the score that this neighbour explains, in [0, 1].
    """

    id: str
    title: str
    kind: str
    share: float


@dataclass(frozen=True, slots=True)
class RecommendedItem:
    """One row of an answer; ``shares`` and ``neighbours`` are filled when an explanation was asked for."""

    item_id: str
    title: str
    kind: str
    score: float
    generated: bool = False
    shares: tuple[SourceShare, ...] = ()
    neighbours: tuple[Neighbour, ...] = ()


@dataclass(frozen=True, slots=True)
class Recommendation:
    """An answer to Recommend.

    Attributes:
        id: To be quoted by the events that it leads to.
        user_id: Whom it was made for.
        items: Best first; fewer than asked for when the candidates ran out.
        strategy: The recipe that made it.
        experiment: The A/B split that chose the recipe, empty when none did.
        snapshot: The version of the data it was made from.
        models: Model name → version.
    """

    id: str
    user_id: str
    items: tuple[RecommendedItem, ...]
    strategy: str
    experiment: str
    snapshot: str
    models: Mapping[str, str] = field(default_factory=dict)


class CreationState(StrEnum):
    """Where a piece of generated content stands."""

    ADMITTED = "admitted"
    REFUSED = "refused"
    PENDING = "pending"
    REJECTED = "rejected"


@dataclass(frozen=True, slots=True)
class Creation:
    """The provenance record: everything it can be made again from, and every decision about it.

    Attributes:
        id: The content number, unique, written into the file as well.
        user_id: Whom it was made for.
        state: See :class:`CreationState`.
        kind: ``text``, ``image`` or ``audio``.
        model: ``name@version``.
        condition: The way its condition was chosen: ``class``, ``taste``, ``caption`` or ``prompt``.
        recipe: Plain values: seed, class, caption, latent, truncation, prompt, sampling, and the digest of the result.
        created_ms: Milliseconds since the epoch.
        item_id: The item it became, empty for one that was refused.
        title: What it is shown by.
        source_item_ids: Items its condition was made from.
        quality: In [0, 1]; NaN without a scorer.
        reason: Why it was refused, UPPER_SNAKE_CASE.
        detail: The same in words.
        reviewed_ms: When a person decided; 0 before.
        reviewer: Who.
    """

    id: str
    user_id: str
    state: CreationState
    kind: str
    model: str
    condition: str
    recipe: Mapping[str, Any]
    created_ms: int
    item_id: str = ""
    title: str = ""
    source_item_ids: tuple[str, ...] = ()
    quality: float = float("nan")
    reason: str = ""
    detail: str = ""
    reviewed_ms: int = 0
    reviewer: str = ""
