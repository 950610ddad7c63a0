"""Behaviour: events stored for good, and counted in the next answer, when the call returns."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Sequence
from concurrent.futures import Future

from aigc.entities import Event
from aigc.errors import InvalidInputError
from aigc.prepare.event_pipeline import EventPipeline
from aigc.prepare.steps import PrepareOptions, event_pipeline
from aigc.profiles.weights import EventWeights
from aigc.services.limits import Limits
from aigc.services.observer import Observer
from aigc.store.sql import SqlStore

__all__ = ["Behaviour"]

_SKEW_MS = 86_400_000
_log = logging.getLogger(__name__)


class Behaviour:
    """Records events. The Engine learns of them from the store's commit hook, before a caller is answered."""

    def __init__(
        self, store: SqlStore, weights: EventWeights, limits: Limits, prepare: PrepareOptions | None = None
    ) -> None:
        """Args: store: the truth; weights: the known event types; limits: what a call may hold; prepare: cleaning."""
        self._store = store
        self._weights = weights
        self._limits = limits
        self._prepare = prepare or PrepareOptions()
        self.observer = Observer()

    def record(self, events: Sequence[Event]) -> list[bool]:
        """Store events and wait; True at i when events[i] is new, False when its id was known.

        Raises:
            InvalidInputError: Names the first wrong field; nothing is written then.
            ResourceExhaustedError: The queue or the disk is full.
        """
        return self.submit(events).result()

    def submit(
        self, events: Sequence[Event], *, checked: bool = False, pipeline: EventPipeline | None = None
    ) -> Future[list[bool]]:
        """As :meth:`record`, without waiting.

        Args:
            events: Cleaned by the steps of the settings on their way.
            checked: :meth:`check` passed for each.
            pipeline: Does the cleaning and keeps count; without one what was changed is logged.
        """
        cleaning = pipeline or event_pipeline(self._prepare)
        latest = time.time() * 1000 + _SKEW_MS
        events = cleaning.apply(events) if checked else self._cleaned(events, cleaning, latest)
        if pipeline is None:
            _tell(cleaning, len(events))
        return self._write(events)

    def _cleaned(self, events: Sequence[Event], cleaning: EventPipeline, latest: float) -> Sequence[Event]:
        """The events of one call, checked."""
        self._limits.check_count(events, "events")
        # A time that no clock shows comes from a wrong field: it is refused below, not mended.
        if all(0 <= event.time_ms <= latest for event in events):
            events = cleaning.apply(events)
        for i, event in enumerate(events):
            self.check(event, f"events[{i}]", latest)
        return events

    def _write(self, events: Sequence[Event]) -> Future[list[bool]]:
        began = time.perf_counter()
        written = self._store.submit_events(events)

        def tell(done: Future[list[bool]]) -> None:
            if not done.cancelled() and done.exception() is None:
                self.observer.recorded(len(events), time.perf_counter() - began)

        written.add_done_callback(tell)
        return written

    def submit_together(self, calls: Sequence[Sequence[Event]]) -> Future[list[list[bool] | Exception]]:
        """As :meth:`submit` of each, with one write for all that pass: a hundred small calls cost little more than one.

        Returns:
            What became of each call, in order, once it is known of all. What is wrong in one call is that call's error
            alone; what the store cannot do is the error of each call that passed.

        Raises:
            ResourceExhaustedError: The queue is full.
            UnavailableError: The store is closed.
        """
        latest = time.time() * 1000 + _SKEW_MS
        cleaning = event_pipeline(self._prepare)
        checked: list[int | InvalidInputError] = []
        together: list[Event] = []
        for events in calls:
            try:
                cleaned = self._cleaned(events, cleaning, latest)
            except InvalidInputError as error:
                checked.append(error)
                continue
            checked.append(len(cleaned))
            together += cleaned
        _tell(cleaning, len(together))
        answered: Future[list[list[bool] | Exception]] = Future()

        def settle(done: Future[list[bool]]) -> None:
            new: list[bool] = []
            failed: Exception | None = None
            try:
                new = done.result()
            except Exception as error:
                failed = error
            told: list[list[bool] | Exception] = []
            start = 0
            for size in checked:
                if not isinstance(size, int):
                    told.append(size)
                elif failed is not None:
                    told.append(failed)
                else:
                    told.append(new[start : start + size])
                    start += size
            answered.set_result(told)

        self._write(together).add_done_callback(settle)
        return answered

    def check(self, event: Event, path: str, latest_ms: float) -> None:
        """Raise InvalidInputError naming the first wrong field of an event under ``path``."""
        limits = self._limits
        limits.check_id(event.id, f"{path}.id")
        limits.check_id(event.user_id, f"{path}.user_id")
        limits.check_id(event.item_id, f"{path}.item_id")
        self._weights.check_type(event.type, f"{path}.type")
        if event.value is not None and not math.isfinite(event.value):
            raise InvalidInputError(f"{path}.value is {event.value}; give a finite number", field=f"{path}.value")
        if not 0 <= event.time_ms <= latest_ms:
            raise InvalidInputError(
                f"{path}.time is {event.time_ms} ms since 1970; give a time from then to a day from now",
                field=f"{path}.time",
            )
        if event.recommendation_id:
            limits.check_id(event.recommendation_id, f"{path}.recommendation_id")
        limits.check_text(event.text, f"{path}.text")


def _tell(cleaning: EventPipeline, n: int) -> None:
    if cleaning.changed:
        _log.info("prepared %d events: %s", n, "; ".join(cleaning.lines()))
