"""Items."""

from __future__ import annotations

from aigc import entities
from aigc.v1 import item_pb2
from aigc_server.converters.times import from_ms, to_ms

__all__ = ["MASK_PATHS", "item_from_proto", "item_to_proto"]

MASK_PATHS = {"create_time": "created_ms"}
"""Fields whose wire name differs from the domain's."""


def item_from_proto(proto: item_pb2.Item, path: str) -> entities.Item:
    """Wire → domain; ``path`` is where the item stands in the request."""
    content = None
    if proto.HasField("content"):
        content = entities.ItemContent(proto.content.media_type, proto.content.data)
    return entities.Item(
        id=proto.id,
        kind=proto.kind or "text",
        title=proto.title,
        text=proto.text,
        categories=tuple(dict.fromkeys(proto.categories)),
        tags=tuple(dict.fromkeys(proto.tags)),
        author=proto.author,
        language=proto.language,
        created_ms=to_ms(proto.create_time, f"{path}.create_time") if proto.HasField("create_time") else 0,
        hidden=proto.hidden,
        generated=proto.generated,
        attributes=dict(proto.attributes),
        content=content,
    )


def item_to_proto(item: entities.Item) -> item_pb2.Item:
    """Domain → wire."""
    return item_pb2.Item(
        id=item.id,
        kind=item.kind,
        title=item.title,
        text=item.text,
        categories=item.categories,
        tags=item.tags,
        author=item.author,
        language=item.language,
        create_time=from_ms(item.created_ms) if item.created_ms else None,
        hidden=item.hidden,
        generated=item.generated,
        attributes=dict(item.attributes),
        content=item_pb2.ItemContent(media_type=item.content.media_type, data=item.content.data)
        if item.content
        else None,
    )
