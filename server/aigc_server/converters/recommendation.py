"""Requests for recommendations, and answers."""

from __future__ import annotations

from collections.abc import Sequence

from aigc import entities
from aigc.creation.label import title_label
from aigc.recommend.request import RecommendRequest, SearchRequest
from aigc.v1 import recommendation_pb2, recommendation_service_pb2

__all__ = [
    "DEFAULT_N",
    "items_to_proto",
    "recommendation_to_proto",
    "request_from_proto",
    "search_from_proto",
]

DEFAULT_N = 20

_KINDS = {
    "item": recommendation_pb2.NEIGHBOUR_KIND_ITEM,
    "user": recommendation_pb2.NEIGHBOUR_KIND_USER,
}


def request_from_proto(proto: recommendation_service_pb2.RecommendRequest) -> RecommendRequest:
    """Wire → domain."""
    return RecommendRequest(
        user_id=proto.user_id,
        n=proto.n or DEFAULT_N,
        strategy=proto.strategy,
        categories=tuple(proto.categories),
        kinds=tuple(proto.kinds),
        allow=tuple(proto.allow_item_ids),
        deny=tuple(proto.deny_item_ids),
        context_item=proto.context_item_id,
        exclude_seen=not proto.include_seen,
        personalised=not proto.non_personalised,
        explain=proto.explain,
        diversity=proto.diversity if proto.HasField("diversity") else None,
    )


def search_from_proto(proto: recommendation_service_pb2.SearchRequest) -> SearchRequest:
    """Wire → domain."""
    return SearchRequest(
        n=proto.n or DEFAULT_N,
        text=proto.text,
        vector=tuple(proto.vector.values),
        categories=tuple(proto.categories),
        kinds=tuple(proto.kinds),
    )


def items_to_proto(items: Sequence[entities.RecommendedItem]) -> list[recommendation_pb2.RecommendedItem]:
    """Domain → wire."""
    return [
        recommendation_pb2.RecommendedItem(
            item_id=item.item_id,
            title=item.title,
            kind=item.kind,
            score=item.score,
            generated=item.generated,
            reasons=_reasons(item) if item.shares else None,
            label=title_label(item.title) if item.generated else "",
        )
        for item in items
    ]


def recommendation_to_proto(answer: entities.Recommendation) -> recommendation_service_pb2.RecommendResponse:
    """Domain → wire."""
    return recommendation_service_pb2.RecommendResponse(
        items=items_to_proto(answer.items),
        recommendation_id=answer.id,
        strategy=answer.strategy,
        experiment=answer.experiment,
        snapshot_id=answer.snapshot,
        model_versions=dict(answer.models),
    )


def _reasons(item: entities.RecommendedItem) -> recommendation_pb2.Reasons:
    return recommendation_pb2.Reasons(
        sources=[recommendation_pb2.SourceShare(source=s.source, share=s.share) for s in item.shares],
        neighbours=[
            recommendation_pb2.Neighbour(id=n.id, title=n.title, kind=_KINDS[n.kind], share=n.share)
            for n in item.neighbours
        ],
    )
