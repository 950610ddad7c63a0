"""CatalogService."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from aigc.entities import Item
from aigc.errors import InvalidInputError
from aigc.services.catalog import Catalog
from aigc.services.intake import Intake
from aigc.v1 import catalog_service_pb2 as pb
from aigc.v1 import catalog_service_pb2_grpc as pb_grpc
from aigc_server.converters.item import MASK_PATHS, item_from_proto, item_to_proto
from aigc_server.converters.steps import steps_to_proto

__all__ = ["CatalogServicer"]

_REPORTED = 1000


class CatalogServicer(pb_grpc.CatalogServiceServicer):
    """Items over gRPC."""

    def __init__(self, catalog: Catalog, intake: Intake) -> None:
        """Args: catalog: what is asked and changed; intake: where new items go."""
        self._catalog = catalog
        self._intake = intake

    async def UpsertItems(self, request: pb.UpsertItemsRequest, context: Any) -> pb.UpsertItemsResponse:
        """See the proto."""
        items = [item_from_proto(item, f"items[{i}]") for i, item in enumerate(request.items)]
        report = await asyncio.to_thread(self._intake.upsert, items)
        return pb.UpsertItemsResponse(
            upserted_count=len({item.id for item in items}), prepare_steps=steps_to_proto(report)
        )

    async def ImportItems(
        self, request_iterator: AsyncIterator[pb.ImportItemsRequest], context: Any
    ) -> pb.ImportItemsResponse:
        """See the proto."""
        response, index = pb.ImportItemsResponse(), 0
        delivery = self._intake.open()
        async for request in request_iterator:
            items, refused = dict[int, Item](), dict[int, InvalidInputError]()
            ids = {index + i: proto.id for i, proto in enumerate(request.items)}
            for place, proto in zip(ids, request.items, strict=True):
                try:
                    items[place] = item_from_proto(proto, f"items[{place}]")
                except InvalidInputError as error:
                    refused[place] = error
            refused |= await asyncio.to_thread(delivery.accept, items)
            for place in sorted(refused)[: _REPORTED - len(response.rejected)]:
                why = refused[place]
                response.rejected.add(index=place, item_id=ids[place][:256], field=why.field, reason=why.message[:500])
            response.accepted_count += len(ids) - len(refused)
            response.rejected_count += len(refused)
            index += len(ids)
        delivery.close()
        response.prepare_steps.extend(steps_to_proto(delivery.report))
        return response

    async def GetItem(self, request: pb.GetItemRequest, context: Any) -> pb.GetItemResponse:
        """See the proto."""
        items = await asyncio.to_thread(self._catalog.get, [request.item_id], with_content=request.include_content)
        return pb.GetItemResponse(item=item_to_proto(items[0]))

    async def BatchGetItems(self, request: pb.BatchGetItemsRequest, context: Any) -> pb.BatchGetItemsResponse:
        """See the proto."""
        items = await asyncio.to_thread(self._catalog.get, list(request.item_ids), with_content=request.include_content)
        return pb.BatchGetItemsResponse(items=[item_to_proto(i) for i in items])

    async def ListItems(self, request: pb.ListItemsRequest, context: Any) -> pb.ListItemsResponse:
        """See the proto."""
        page = await asyncio.to_thread(
            self._catalog.list,
            page_size=request.page_size,
            page_token=request.page_token,
            kind=request.kind,
            category=request.category,
            include_hidden=not request.visible_only,
        )
        return pb.ListItemsResponse(
            items=[item_to_proto(i) for i in page.items], next_page_token=page.next_page_token, total_size=page.total
        )

    async def UpdateItem(self, request: pb.UpdateItemRequest, context: Any) -> pb.UpdateItemResponse:
        """See the proto."""
        mask = [MASK_PATHS.get(path, path) for path in request.update_mask.paths]
        item = await asyncio.to_thread(self._intake.update, item_from_proto(request.item, "item"), mask)
        return pb.UpdateItemResponse(item=item_to_proto(item))

    async def DeleteItem(self, request: pb.DeleteItemRequest, context: Any) -> pb.DeleteItemResponse:
        """See the proto."""
        await asyncio.to_thread(self._catalog.get, [request.item_id])
        await asyncio.to_thread(self._catalog.delete, [request.item_id])
        return pb.DeleteItemResponse()

    async def BatchDeleteItems(self, request: pb.BatchDeleteItemsRequest, context: Any) -> pb.BatchDeleteItemsResponse:
        """See the proto."""
        deleted = await asyncio.to_thread(self._catalog.delete, list(request.item_ids))
        return pb.BatchDeleteItemsResponse(deleted_count=deleted)
