"""RecommendationService."""

from __future__ import annotations

import asyncio
from typing import Any

from aigc.services.recommender import Recommender
from aigc.v1 import recommendation_service_pb2 as pb
from aigc.v1 import recommendation_service_pb2_grpc as pb_grpc
from aigc_server.converters.recommendation import (
    DEFAULT_N,
    items_to_proto,
    recommendation_to_proto,
    request_from_proto,
    search_from_proto,
)

__all__ = ["RecommendationServicer"]


class RecommendationServicer(pb_grpc.RecommendationServiceServicer):
    """Recommendations over gRPC. One answer takes less than handing it to a thread would; many do not."""

    def __init__(self, recommender: Recommender) -> None:
        """Args: recommender: what is called."""
        self._recommender = recommender

    async def Recommend(self, request: pb.RecommendRequest, context: Any) -> pb.RecommendResponse:
        """See the proto."""
        return recommendation_to_proto(self._recommender.recommend(request_from_proto(request)))

    async def BatchRecommend(self, request: pb.BatchRecommendRequest, context: Any) -> pb.BatchRecommendResponse:
        """See the proto."""
        requests = [request_from_proto(r) for r in request.requests]
        answers = await asyncio.to_thread(self._recommender.recommend_batch, requests)
        return pb.BatchRecommendResponse(responses=[recommendation_to_proto(a) for a in answers])

    async def SimilarItems(self, request: pb.SimilarItemsRequest, context: Any) -> pb.SimilarItemsResponse:
        """See the proto."""
        items = self._recommender.similar_items(
            request.item_id, request.n or DEFAULT_N, categories=request.categories, kinds=request.kinds
        )
        return pb.SimilarItemsResponse(items=items_to_proto(items))

    async def SimilarUsers(self, request: pb.SimilarUsersRequest, context: Any) -> pb.SimilarUsersResponse:
        """See the proto."""
        users = self._recommender.similar_users(request.user_id, request.n or DEFAULT_N)
        return pb.SimilarUsersResponse(users=[pb.SimilarUser(user_id=u, similarity=s) for u, s in users])

    async def Search(self, request: pb.SearchRequest, context: Any) -> pb.SearchResponse:
        """See the proto."""
        items = await asyncio.to_thread(self._recommender.search, search_from_proto(request))
        return pb.SearchResponse(items=items_to_proto(items))
