"""Where each model's promotion stands, on disk beside its aliases: ``models/<name>/promotion.json``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from aigc import durable
from aigc.creation.promotion import Outcome, Promotion
from aigc.creation.sequential import Tally
from aigc.errors import CorruptDataError

__all__ = ["PromotionEvent", "PromotionRecord", "read_record", "write_record"]

_FILE = "promotion.json"
_FORMAT = 1
_KEPT = 50
_REMEDY = "remove the file: the aliases champion, candidate and previous tell where the model stands"


@dataclass(frozen=True, slots=True)
class PromotionEvent:
    """Something that happened: when (milliseconds since the epoch), to which version, and why in words."""

    time_ms: int
    outcome: Outcome
    version: int
    text: str


@dataclass(frozen=True, slots=True)
class PromotionRecord:
    """The state of one model, and how it came about.

    The counts of rewards are not kept on disk: they follow from the records of what was made and from the events, which
    are, so that no reward is lost or counted twice when the process is killed.

    Attributes:
        state: Of the model.
        comparison: Names the comparison that runs, and is written into everything made in it; "" in STEADY.
        started_ms: When it began.
        applied: True once the aliases say the same; False only when the process was killed in between.
        history: The newest last, fifty at most.
    """

    state: Promotion
    comparison: str = ""
    started_ms: int = 0
    applied: bool = True
    history: tuple[PromotionEvent, ...] = ()

    def noted(self, event: PromotionEvent) -> PromotionRecord:
        """The same state, with something that changed nothing."""
        return replace(self, history=(*self.history, event)[-_KEPT:])

    def after(self, state: Promotion, event: PromotionEvent, comparison: str) -> PromotionRecord:
        """The record once the state has changed, not applied yet."""
        return PromotionRecord(state, comparison, event.time_ms, applied=False, history=self.noted(event).history)

    def to_json(self) -> dict[str, Any]:
        """As JSON's own types, without the counts."""
        bare = replace(self.state, champion_rewards=Tally(), other_rewards=Tally())
        return {**asdict(self), "format": _FORMAT, "state": bare.to_json()}

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> PromotionRecord:
        """The inverse of :meth:`to_json`; CorruptDataError when it is none."""
        values = dict(raw)
        if values.pop("format", None) != _FORMAT:
            raise CorruptDataError(f"the format is {raw.get('format')!r}, not {_FORMAT}: update aigc")
        try:
            values["state"] = Promotion.from_json(values["state"])
            values["history"] = tuple(
                PromotionEvent(**{**event, "outcome": Outcome(event["outcome"])}) for event in values["history"]
            )
            return cls(**values)
        except (KeyError, TypeError, ValueError) as error:
            raise CorruptDataError(f"no record of a promotion: {error}") from error


def read_record(folder: Path) -> PromotionRecord | None:
    """The record of the model in a folder; None when it has none.

    Raises:
        CorruptDataError: The file is damaged; names it.
    """
    path = folder / _FILE
    if not path.exists():
        return None
    raw = durable.read_manifest(path, reason="PROMOTION_CORRUPT", remedy=_REMEDY)
    try:
        return PromotionRecord.from_json(raw)
    except CorruptDataError as error:
        raise CorruptDataError(f"{path}: {error.message}; {_REMEDY}", reason="PROMOTION_CORRUPT") from error


def write_record(folder: Path, record: PromotionRecord) -> None:
    """Put it in the place of the last one, durably; the folder exists."""
    durable.replace_file(folder / _FILE, json.dumps(record.to_json(), indent=1) + "\n")
