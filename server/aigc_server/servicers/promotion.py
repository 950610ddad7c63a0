"""PromotionService."""

from __future__ import annotations

import asyncio
from typing import Any

from aigc.services.promotion_status import PromotionStatus
from aigc.services.promotions import Promotions
from aigc.v1 import promotion_pb2
from aigc.v1 import promotion_service_pb2 as pb
from aigc.v1 import promotion_service_pb2_grpc as pb_grpc
from aigc_server.converters.paging import one_page
from aigc_server.converters.promotion import promotion_to_proto

__all__ = ["PromotionServicer"]


class PromotionServicer(pb_grpc.PromotionServiceServicer):
    """Which version serves, over gRPC."""

    def __init__(self, promotions: Promotions) -> None:
        """Args: promotions: what is called."""
        self._promotions = promotions

    async def ProposeVersion(self, request: pb.ProposeVersionRequest, context: Any) -> pb.ProposeVersionResponse:
        """See the proto."""
        status = await asyncio.to_thread(self._promotions.propose, request.model, request.version)
        return pb.ProposeVersionResponse(promotion=self._told(status))

    async def ForceVersion(self, request: pb.ForceVersionRequest, context: Any) -> pb.ForceVersionResponse:
        """See the proto."""
        status = await asyncio.to_thread(self._promotions.force, request.model, request.version)
        return pb.ForceVersionResponse(promotion=self._told(status))

    async def WithdrawVersion(self, request: pb.WithdrawVersionRequest, context: Any) -> pb.WithdrawVersionResponse:
        """See the proto."""
        status = await asyncio.to_thread(self._promotions.withdraw, request.model)
        return pb.WithdrawVersionResponse(promotion=self._told(status))

    async def GetPromotion(self, request: pb.GetPromotionRequest, context: Any) -> pb.GetPromotionResponse:
        """See the proto."""
        status = await asyncio.to_thread(self._promotions.get, request.model)
        return pb.GetPromotionResponse(promotion=self._told(status))

    async def ListPromotions(self, request: pb.ListPromotionsRequest, context: Any) -> pb.ListPromotionsResponse:
        """See the proto."""
        found = await asyncio.to_thread(self._promotions.list)
        page, token = one_page(found, lambda s: s.state.model, request.page_size, request.page_token)
        return pb.ListPromotionsResponse(promotions=[self._told(status) for status in page], next_page_token=token)

    def _told(self, status: PromotionStatus) -> promotion_pb2.Promotion:
        return promotion_to_proto(status, self._promotions.options)
