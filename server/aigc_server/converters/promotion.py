"""Promotions → wire."""

from __future__ import annotations

import math

from aigc.creation.promotion import Outcome, PromotionOptions, Stage
from aigc.creation.promotion_record import PromotionEvent
from aigc.services.promotion_status import PromotionStatus
from aigc.v1 import promotion_pb2 as pb
from aigc_server.converters.times import from_ms

__all__ = ["promotion_to_proto"]

_STAGES = {
    Stage.STEADY: pb.PROMOTION_STAGE_STEADY,
    Stage.CANARY: pb.PROMOTION_STAGE_CANARY,
    Stage.WATCH: pb.PROMOTION_STAGE_WATCH,
}
_OUTCOMES = {
    Outcome.REFUSED: pb.PROMOTION_OUTCOME_REFUSED,
    Outcome.CANARY_STARTED: pb.PROMOTION_OUTCOME_CANARY_STARTED,
    Outcome.CANARY_STOPPED: pb.PROMOTION_OUTCOME_CANARY_STOPPED,
    Outcome.PROMOTED: pb.PROMOTION_OUTCOME_PROMOTED,
    Outcome.FORCED: pb.PROMOTION_OUTCOME_FORCED,
    Outcome.ROLLED_BACK: pb.PROMOTION_OUTCOME_ROLLED_BACK,
    Outcome.SETTLED: pb.PROMOTION_OUTCOME_SETTLED,
    Outcome.OVERRULED: pb.PROMOTION_OUTCOME_OVERRULED,
}


def promotion_to_proto(status: PromotionStatus, options: PromotionOptions) -> pb.Promotion:
    """Where a model stands, with the rules that hold for it."""
    state = status.state
    promotion = pb.Promotion(
        model=state.model,
        stage=_STAGES[state.stage],
        champion=state.champion,
        other=state.other,
        forced=state.forced,
        other_share=status.share,
        margin=options.margin,
        least_rewards=options.least,
        start_time=from_ms(status.started_ms) if status.started_ms else None,
        history=[_event(event) for event in status.history],
    )
    if state.stage is not Stage.STEADY:
        pairs = ((state.champion, state.champion_rewards), (state.other, state.other_rewards))
        for version, tally in pairs:
            mean = None if math.isnan(tally.mean) else tally.mean
            waiting = status.waiting.get(version, 0)
            promotion.tallies.add(version=version, count=tally.n, mean=mean, waiting=waiting)
    if status.difference is not None:
        found = status.difference
        promotion.difference.CopyFrom(pb.PromotionDifference(value=found.value, low=found.low, high=found.high))
    return promotion


def _event(event: PromotionEvent) -> pb.PromotionEvent:
    return pb.PromotionEvent(
        time=from_ms(event.time_ms), outcome=_OUTCOMES[event.outcome], version=event.version, reason=event.text
    )
