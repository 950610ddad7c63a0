"""Entities ↔ rows of the tables."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

from aigc.entities import Creation, CreationState, Event, Item, ItemContent, Preferences
from aigc.store.base import LoggedRecommendation

__all__ = [
    "creation_from_row",
    "creation_row",
    "event_from_row",
    "item_from_row",
    "item_row",
    "json_text",
    "preferences_from_row",
    "preferences_row",
    "recommendation_from_row",
    "recommendation_row",
]


def json_text(value: object) -> str:
    """Compact JSON in which every character stands as itself."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def item_row(item: Item, revision: int) -> dict[str, Any]:
    """An item for ``items``; the content has its own table."""
    return {
        "id": item.id,
        "kind": item.kind,
        "title": item.title,
        "text": item.text,
        "categories": json_text(list(item.categories)),
        "tags": json_text(list(item.tags)),
        "author": item.author,
        "language": item.language,
        "created_ms": item.created_ms,
        "hidden": item.hidden,
        "generated": item.generated,
        "attributes": json_text(dict(item.attributes)),
        "deleted": False,
        "revision": revision,
    }


def item_from_row(row: Mapping[str, Any], content: ItemContent | None = None) -> Item:
    """The other way."""
    return Item(
        id=row["id"],
        kind=row["kind"],
        title=row["title"],
        text=row["text"],
        categories=tuple(json.loads(row["categories"])),
        tags=tuple(json.loads(row["tags"])),
        author=row["author"],
        language=row["language"],
        created_ms=row["created_ms"],
        hidden=bool(row["hidden"]),
        generated=bool(row["generated"]),
        attributes=json.loads(row["attributes"]),
        content=content,
    )


def event_from_row(row: Mapping[str, Any]) -> Event:
    """A row of ``events``, its ``seq`` left out."""
    return Event(
        id=row["id"],
        user_id=row["user_id"],
        item_id=row["item_id"],
        type=row["type"],
        time_ms=row["time_ms"],
        value=row["value"],
        recommendation_id=row["recommendation_id"],
        text=row["text"],
    )


def preferences_row(preferences: Preferences) -> dict[str, Any]:
    """Declarations for ``preferences``."""
    return {
        "user_id": preferences.user_id,
        "interests": json_text(dict(preferences.interests)),
        "dislikes": json_text(list(preferences.dislikes)),
        "allow_generated": preferences.allow_generated,
        "allow_personalisation": preferences.allow_personalisation,
    }


def preferences_from_row(row: Mapping[str, Any]) -> Preferences:
    """The other way."""
    return Preferences(
        row["user_id"],
        json.loads(row["interests"]),
        tuple(json.loads(row["dislikes"])),
        bool(row["allow_generated"]),
        bool(row["allow_personalisation"]),
    )


def recommendation_row(answer: LoggedRecommendation) -> dict[str, Any]:
    """An answer for ``recommendations``."""
    return {
        "id": answer.id,
        "user_id": answer.user_id,
        "strategy": answer.strategy,
        "experiment": answer.experiment,
        "snapshot": answer.snapshot,
        "item_ids": json_text(list(answer.item_ids)),
        "created_ms": answer.created_ms,
        "propensities": json_text(dict(answer.propensities)),
    }


def recommendation_from_row(row: Mapping[str, Any]) -> LoggedRecommendation:
    """The other way."""
    return LoggedRecommendation(
        row["id"],
        row["user_id"],
        row["strategy"],
        row["experiment"],
        row["snapshot"],
        tuple(json.loads(row["item_ids"])),
        row["created_ms"],
        json.loads(row["propensities"]),
    )


def creation_row(creation: Creation) -> dict[str, Any]:
    """A creation for ``creations``."""
    return {
        "id": creation.id,
        "item_id": creation.item_id,
        "user_id": creation.user_id,
        "state": creation.state.value,
        "kind": creation.kind,
        "model": creation.model,
        "condition": creation.condition,
        "recipe": json_text(dict(creation.recipe)),
        "created_ms": creation.created_ms,
        "title": creation.title,
        "source_item_ids": json_text(list(creation.source_item_ids)),
        "quality": None if math.isnan(creation.quality) else creation.quality,
        "reason": creation.reason,
        "detail": creation.detail,
        "reviewed_ms": creation.reviewed_ms,
        "reviewer": creation.reviewer,
    }


def creation_from_row(row: Mapping[str, Any]) -> Creation:
    """The other way."""
    return Creation(
        id=row["id"],
        user_id=row["user_id"],
        state=CreationState(row["state"]),
        kind=row["kind"],
        model=row["model"],
        condition=row["condition"],
        recipe=json.loads(row["recipe"]),
        created_ms=row["created_ms"],
        item_id=row["item_id"],
        title=row["title"],
        source_item_ids=tuple(json.loads(row["source_item_ids"])),
        quality=float("nan") if row["quality"] is None else row["quality"],
        reason=row["reason"],
        detail=row["detail"],
        reviewed_ms=row["reviewed_ms"],
        reviewer=row["reviewer"],
    )
