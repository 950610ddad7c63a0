"""A training run as the API shows it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal

from aigc.errors import InvalidInputError
from aigc.training.data_source import DataChoice

__all__ = ["ENDED", "Job", "JobState"]

JobState = Literal["queued", "running", "succeeded", "failed", "cancelled"]
ENDED = ("succeeded", "failed", "cancelled")
_EVENTS = 100


@dataclass(frozen=True, slots=True)
class Job:
    """One job; every change makes a new one.

    Attributes:
        id: Given when it was asked for.
        kind: Of the recipe.
        model: Name of the model that gets a new version.
        state: ``queued`` (also: to be taken up again), ``running``, ``succeeded``, ``failed`` or ``cancelled``.
        options: As they were given.
        data: Which data.
        from_model: As it was given.
        request_id: The caller's, to tell a repeated request; may be empty.
        created_ms: When it was asked for; this and the others in milliseconds since the epoch, 0 for not yet.
        started_ms: When it began.
        ended_ms: When it ended.
        step: Steps done.
        steps: Steps in all; 0 before it began.
        left_ms: At the present speed.
        metrics: The newest losses.
        measures: The newest validation.
        events: What happened out of the ordinary, in words; the newest hundred.
        error: Why it failed.
        made: ``name@version``.
    """

    id: str
    kind: str
    model: str
    state: JobState = "queued"
    options: Mapping[str, str] = field(default_factory=dict)
    data: DataChoice = field(default_factory=DataChoice)
    from_model: str = ""
    request_id: str = ""
    created_ms: int = 0
    started_ms: int = 0
    ended_ms: int = 0
    step: int = 0
    steps: int = 0
    left_ms: int = 0
    metrics: Mapping[str, float] = field(default_factory=dict)
    measures: Mapping[str, float] = field(default_factory=dict)
    events: tuple[str, ...] = ()
    error: str = ""
    made: str = ""

    @property
    def ended(self) -> bool:
        """Nothing more will happen to it."""
        return self.state in ENDED

    def with_event(self, event: str) -> tuple[str, ...]:
        """The events and one more."""
        return (*self.events, event)[-_EVENTS:]

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> Job:
        """What :func:`dataclasses.asdict` gave, through JSON; raises InvalidInputError when it is something else."""
        known = {spec.name for spec in fields(cls)}
        try:
            return cls(
                **{k: v for k, v in raw.items() if k in known}
                | {"data": DataChoice.from_json(raw["data"]), "events": tuple(raw["events"])}
            )
        except (KeyError, TypeError) as error:
            raise InvalidInputError(f"no job: {error}") from error
