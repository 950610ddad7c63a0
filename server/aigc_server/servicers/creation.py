"""CreationService."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from typing import Any

from aigc.services.background import Background
from aigc.services.creation import Creator
from aigc.services.creation_records import CreationRecords
from aigc.services.foreground import Foreground
from aigc.services.suggestion import Suggestions
from aigc.v1 import creation_service_pb2 as pb
from aigc.v1 import creation_service_pb2_grpc as pb_grpc
from aigc_server.converters.creation import (
    background_to_proto,
    creation_to_proto,
    order_from_proto,
    page_start,
    page_token,
    state_from_proto,
    step_to_proto,
)
from aigc_server.converters.item import item_to_proto

__all__ = ["CreationServicer"]

_DEFAULT_PAGE, _MOST = 100, 1000
_DEFAULT_SUGGESTIONS = 5


class CreationServicer(pb_grpc.CreationServiceServicer):
    """Content made for someone, over gRPC."""

    def __init__(
        self,
        creator: Creator,
        records: CreationRecords,
        suggestions: Suggestions,
        background: Background,
        foreground: Foreground,
    ) -> None:
        """Wire.

        Args:
            creator: Makes.
            records: Of what was made.
            suggestions: For creators.
            background: Stands back behind ``foreground``.
            foreground: Told of each call that wants the generator.
        """
        self._creator = creator
        self._records = records
        self._suggestions = suggestions
        self._background = background
        self._foreground = foreground

    async def GenerateForUser(
        self, request: pb.GenerateForUserRequest, context: Any
    ) -> AsyncIterator[pb.GenerateForUserResponse]:
        """See the proto; each step runs in a thread, so that the caller can leave between two."""
        gone = threading.Event()
        steps = self._creator.generate_for(order_from_proto(request), gone.is_set, context.time_remaining())
        with self._foreground.call():
            try:
                while (step := await asyncio.shield(asyncio.to_thread(next, steps, None))) is not None:
                    yield step_to_proto(step)
            finally:
                gone.set()

    async def SuggestForCreator(
        self, request: pb.SuggestForCreatorRequest, context: Any
    ) -> pb.SuggestForCreatorResponse:
        """See the proto."""
        with self._foreground.call():
            found, label = await asyncio.to_thread(
                self._suggestions.suggest, request.author, request.n or _DEFAULT_SUGGESTIONS, request.model
            )
        return pb.SuggestForCreatorResponse(
            suggestions=[
                pb.CreatorSuggestion(title=s.title, outline=s.outline, tags=s.tags, source_item_ids=s.source_item_ids)
                for s in found
            ],
            label=label,
        )

    async def ListCreations(self, request: pb.ListCreationsRequest, context: Any) -> pb.ListCreationsResponse:
        """See the proto."""
        size = min(max(0, request.page_size) or _DEFAULT_PAGE, _MOST)
        found = await asyncio.to_thread(
            self._records.page,
            state=state_from_proto(request.state),
            user_id=request.user_id,
            limit=size + 1,
            before=page_start(request.page_token),
        )
        token = page_token(found[size - 1]) if len(found) > size else ""
        return pb.ListCreationsResponse(creations=[creation_to_proto(c) for c in found[:size]], next_page_token=token)

    async def GetCreation(self, request: pb.GetCreationRequest, context: Any) -> pb.GetCreationResponse:
        """See the proto."""
        return pb.GetCreationResponse(
            creation=creation_to_proto(await asyncio.to_thread(self._records.get, request.id))
        )

    async def ApproveCreation(self, request: pb.ApproveCreationRequest, context: Any) -> pb.ApproveCreationResponse:
        """See the proto."""
        creation = await asyncio.to_thread(self._records.approve, request.id, request.reviewer)
        return pb.ApproveCreationResponse(creation=creation_to_proto(creation))

    async def RejectCreation(self, request: pb.RejectCreationRequest, context: Any) -> pb.RejectCreationResponse:
        """See the proto."""
        creation = await asyncio.to_thread(self._records.reject, request.id, request.reviewer, request.reason)
        return pb.RejectCreationResponse(creation=creation_to_proto(creation))

    async def RegenerateCreation(
        self, request: pb.RegenerateCreationRequest, context: Any
    ) -> pb.RegenerateCreationResponse:
        """See the proto."""
        with self._foreground.call():
            same, item = await asyncio.to_thread(self._creator.regenerate, request.id)
        return pb.RegenerateCreationResponse(identical=same, item=item_to_proto(item))

    async def GetBackgroundStatus(
        self, request: pb.GetBackgroundStatusRequest, context: Any
    ) -> pb.GetBackgroundStatusResponse:
        """See the proto."""
        return background_to_proto(self._background.status())
