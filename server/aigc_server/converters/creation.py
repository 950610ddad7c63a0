"""Creations and decisions → wire."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping

from google.protobuf.duration_pb2 import Duration

from aigc.creation.decision import Decision
from aigc.entities import Creation, CreationState
from aigc.errors import InvalidInputError
from aigc.services.background import BackgroundState, BackgroundStatus
from aigc.services.creation_steps import CreationOrder, CreationStep
from aigc.v1 import creation_pb2 as pb
from aigc.v1 import creation_service_pb2 as service_pb
from aigc_server.converters.item import item_to_proto
from aigc_server.converters.times import from_ms

__all__ = [
    "background_to_proto",
    "creation_to_proto",
    "order_from_proto",
    "page_start",
    "page_token",
    "state_from_proto",
    "step_to_proto",
]

_STATES = {
    CreationState.ADMITTED: pb.CREATION_STATE_ADMITTED,
    CreationState.REFUSED: pb.CREATION_STATE_REFUSED,
    CreationState.PENDING: pb.CREATION_STATE_PENDING,
    CreationState.REJECTED: pb.CREATION_STATE_REJECTED,
}
_DEFAULT_N = 4
_BACKGROUND_STATES: Mapping[BackgroundState, pb.BackgroundState.ValueType] = {
    "off": pb.BACKGROUND_STATE_OFF,
    "waiting": pb.BACKGROUND_STATE_WAITING,
    "working": pb.BACKGROUND_STATE_WORKING,
    "yielding": pb.BACKGROUND_STATE_YIELDING,
    "paused": pb.BACKGROUND_STATE_PAUSED,
}


def order_from_proto(request: service_pb.GenerateForUserRequest) -> CreationOrder:
    """What a call asks for."""
    return CreationOrder(
        request.user_id,
        request.n or _DEFAULT_N,
        request.kind,
        request.strategy,
        request.adventure if request.HasField("adventure") else None,
        request.force,
        request.dry_run,
    )


def step_to_proto(step: CreationStep) -> service_pb.GenerateForUserResponse:
    """One step."""
    response = service_pb.GenerateForUserResponse()
    if step.decision is not None:
        response.decision.CopyFrom(_decision(step.decision))
    elif step.progress is not None:
        p = step.progress
        response.progress.CopyFrom(
            service_pb.GenerationProgress(
                made=p.made, admitted=p.admitted, refused=p.refused, wanted=p.wanted, stage=p.stage
            )
        )
    elif step.creation is not None:
        response.creation.CopyFrom(creation_to_proto(step.creation))
        if step.item is not None:
            response.item.CopyFrom(item_to_proto(step.item))
    return response


def creation_to_proto(creation: Creation) -> pb.Creation:
    """A record."""
    return pb.Creation(
        id=creation.id,
        item_id=creation.item_id,
        user_id=creation.user_id,
        state=_STATES[creation.state],
        reason=creation.reason,
        detail=creation.detail,
        kind=creation.kind,
        title=creation.title,
        model=creation.model,
        condition=creation.condition,
        recipe=json.dumps(dict(creation.recipe), ensure_ascii=False, sort_keys=True),
        source_item_ids=creation.source_item_ids,
        quality=None if math.isnan(creation.quality) else creation.quality,
        create_time=from_ms(creation.created_ms),
        review_time=from_ms(creation.reviewed_ms) if creation.reviewed_ms else None,
        reviewer=creation.reviewer,
    )


def background_to_proto(status: BackgroundStatus) -> service_pb.GetBackgroundStatusResponse:
    """What is generated between requests."""
    spent, left = Duration(), Duration()
    spent.FromMilliseconds(int(status.seconds * 1000))
    left.FromMilliseconds(int(status.seconds_left * 1000))
    return service_pb.GetBackgroundStatusResponse(
        state=_BACKGROUND_STATES[status.state],
        detail=status.detail,
        active_users=status.users,
        looked_at=status.looked_at,
        attempts=status.attempts,
        admitted=status.admitted,
        refused=status.refused,
        spent=spent,
        items_left=status.items_left,
        time_left=left,
        next_time=from_ms(status.next_ms) if status.next_ms else None,
    )


def state_from_proto(state: int) -> str:
    """A state's name, empty for UNSPECIFIED."""
    return next((known.value for known, number in _STATES.items() if number == state), "")


def page_start(token: str) -> tuple[int, str] | None:
    """Where a page begins.

    Raises:
        InvalidInputError: The token was not given by this server.
    """
    if not token:
        return None
    time_ms, _, last = token.partition("-")
    if not (time_ms.isdigit() and last):
        raise InvalidInputError(f"page_token is {token[:64]!r}; give one from next_page_token", field="page_token")
    return int(time_ms), last


def page_token(creation: Creation) -> str:
    """The token of the page after this creation."""
    return f"{creation.created_ms}-{creation.id}"


def _decision(decision: Decision) -> pb.Decision:
    return pb.Decision(
        generate=decision.generate,
        reasons=[
            pb.DecisionReason(name=r.name, value=r.value, threshold=r.threshold, speaks_for=r.speaks_for, text=r.text)
            for r in decision.reasons
        ],
    )
