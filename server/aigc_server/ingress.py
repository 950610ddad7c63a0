"""The C++ front: it owns the port, answers the hot calls, and passes all others on to the control server.

What it answers is what the control server would have answered; what needs Python (an error to explain, a strategy that
reads the store, searches vectors or tries new items) it passes on byte for byte.
"""

from __future__ import annotations

import json
import logging
import math
import os
import threading
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import Future
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any

import grpc
import numpy as np
import structlog
from google.protobuf.message import DecodeError
from numpy.typing import NDArray

from aigc.entities import Event
from aigc.errors import AigcError, ResourceExhaustedError
from aigc.index.vector_index import VectorIndex
from aigc.quiet_work import stand_back
from aigc.recommend.similar import SIMILAR
from aigc.recommend.strategy import Strategy
from aigc.services.platform import Platform
from aigc.store.base import LoggedRecommendation
from aigc.v1 import event_service_pb2, recommendation_service_pb2
from aigc_server.connections import connection_options
from aigc_server.converters.event import events_from_proto
from aigc_server.credentials import pem_files
from aigc_server.errors import malformed_request, port_in_use, rich_status
from aigc_server.metrics import Metrics
from aigc_server.settings import BatchingSettings, Settings

if TYPE_CHECKING:
    from aigc_server._ingress import Server

__all__ = ["Ingress", "built"]

_NOTED_MS = 100  # at the latest
# How far threads stand back behind gRPC's: those that rank, and Python's that nobody waits for.
_RANKING, _NOTING = 2, 10
# The number of a call, and what it is told: code, message, details, reason.
_Failure = tuple[int, int, str, bytes, str]


def built() -> bool:
    """Was it built? It is where libgrpc++-dev was installed."""
    try:
        import aigc_server._ingress  # noqa: F401
    except ImportError:
        return False
    return True


class Ingress:
    """The front of one platform. Its threads are its own; call :meth:`stop` when done."""

    def __init__(self, platform: Platform, settings: Settings, metrics: Metrics, behind: str) -> None:
        """Listen.

        Args:
            platform: Answers.
            settings: The whole tree.
            metrics: Counts what is answered here.
            behind: gRPC address of the control server, which listens already.

        Raises:
            ConflictError: The port is taken.
            InvalidInputError: A TLS file is wrong.
        """
        from aigc_server._ingress import Server

        self._platform = platform
        self._metrics = metrics
        self._json = settings.log.format == "json"
        self._traced = _traced(settings)
        self._log = structlog.get_logger("aigc.call")
        self._refreshing = threading.Lock()
        self._noting = threading.Lock()
        self._windows: list[float] = []
        self._indexes: dict[int, VectorIndex | None] = {}
        self._strategies: object = None
        self.answered: Counter[str] = Counter()
        self.kept = 0
        try:
            self._server: Server = Server(_options(settings, behind))
        except RuntimeError as error:
            raise port_in_use(settings.server.listen) from error
        self.port = self._server.port
        metrics.before_page = self._note
        metrics.count("kept_answers", "Answers that were given again", lambda: self.kept)
        platform.live.on_swap = platform.strategies.on_change = self.refresh
        self.refresh()
        self._ended = threading.Event()
        self._threads = [
            threading.Thread(target=self._take_events, name="ingress-events", daemon=True),
            threading.Thread(target=self._take_searches, name="ingress-searches", daemon=True),
            threading.Thread(target=self._take_notes, name="ingress-notes", daemon=True),
        ]
        for thread in self._threads:
            thread.start()

    @property
    def waiting(self) -> int:
        """Calls that wait for a thread."""
        return self._server.waiting

    def set_health(self, service: str, serving: bool) -> None:
        """What health checks of a service are told."""
        self._server.set_health(service, serving)

    def refresh(self) -> None:
        """Answer by the present snapshot and strategies; until the first time, calls are passed on."""
        with self._refreshing:
            serving, book = self._platform.live.serving, self._platform.strategies
            routes = []
            plans = book.plans()
            self._windows = sorted({strategy.generate.share_hours for strategy, _ in plans})
            self._count_windows()
            for strategy, plan in plans:
                if _plain(strategy):
                    searched = [s.limit for s in strategy.sources if s.kind == "vector" and serving.index is not None]
                    tail = recommendation_service_pb2.RecommendResponse(
                        strategy=strategy.name, snapshot_id=serving.snapshot_id, model_versions=dict(serving.models)
                    )
                    routes.append(
                        (
                            strategy.name,
                            plan,
                            tail.SerializeToString(),
                            strategy.max_generated_share,
                            strategy.generate.share_over_time,
                            self._windows.index(strategy.generate.share_hours),
                            max(searched, default=0),
                        )
                    )
            if not self._traced:
                strategies = [strategy for strategy, _ in plans], book.experiment
                number = self._server.set_routes(
                    serving.state,
                    serving.snapshot_id,
                    routes,
                    book.experiment is not None,
                    SIMILAR.plan(),
                    strategies == self._strategies,
                )
                self._strategies = strategies
                # Calls that began under the routes before search the index of then.
                self._indexes = {n: i for n, i in self._indexes.items() if n == number - 1} | {number: serving.index}

    def stop(self, grace_ms: int) -> None:
        """Accept nothing more, let what was accepted end within the grace period, and note what it left."""
        self._platform.live.on_swap = self._platform.strategies.on_change = self._metrics.before_page = lambda: None
        self._server.stop(grace_ms)
        self._ended.set()
        for thread in self._threads:
            thread.join()

    def _take_events(self) -> None:
        while calls := self._server.take_events():
            self._record(calls)

    def _record(self, calls: Sequence[tuple[int, bytes]]) -> None:
        """Write what waited together; each call has its own answer."""
        numbers: list[int] = []
        entries: list[list[Event]] = []
        wrong: list[_Failure] = []
        for number, request in calls:
            try:
                entries.append(events_from_proto(event_service_pb2.RecordEventsRequest.FromString(request).events))
                numbers.append(number)
            except DecodeError:
                wrong.append(self._failure(number, malformed_request()))
            except Exception as error:
                wrong.append(self._failure(number, error))
        if wrong:
            self._server.answer_events([], wrong)
        if not numbers:
            return
        try:
            self._platform.behaviour.submit_together(entries).add_done_callback(partial(self._recorded, numbers))
        except Exception as error:
            self._server.answer_events([], [self._failure(number, error) for number in numbers])

    def _recorded(self, numbers: Sequence[int], done: Future[list[list[bool] | Exception]]) -> None:
        responses: list[tuple[int, bytes]] = []
        failures: list[_Failure] = []
        for number, outcome in zip(numbers, done.result(), strict=True):
            if isinstance(outcome, list):
                new = sum(outcome)
                responses.append((number, _recorded_response(new, len(outcome) - new)))
            else:
                failures.append(self._failure(number, outcome))
        self._server.answer_events(responses, failures)

    def _failure(self, number: int, error: Exception) -> _Failure:
        if isinstance(error, AigcError):
            status, reason = rich_status(error), error.reason
        else:
            self._log.error("unexpected error", method="RecordEvents", exc_info=error)
            status = rich_status(AigcError("something unexpected happened; the server's log has it"))
            reason = "INTERNAL"
        return number, status.code, status.message, status.SerializeToString(), reason

    def _take_searches(self) -> None:
        while searches := self._server.take_searches():
            found: list[tuple[int, int, NDArray[np.int64], NDArray[np.float32]]] = []
            unable: set[int] = set()
            for call, place, routes, limit, vector in searches:
                index = self._indexes.get(routes)
                if index is None:
                    unable.add(call)
                    continue
                # One by one: the last bit of a score must not depend on the company, or ties would break by it.
                try:
                    rows, scores = index.search(vector, limit)
                    found.append((call, place, rows[0], scores[0]))
                except Exception:
                    # Whatever it was, the control server finds the words for it.
                    unable.add(call)
            self._server.answer_searches([one for one in found if one[0] not in unable], sorted(unable))

    def _take_notes(self) -> None:
        stand_back(_NOTING)
        while not self._ended.is_set():
            self._server.wait_notes(_NOTED_MS)
            self._note()
        self._note()

    def _note(self) -> None:
        with self._noting:
            self._keep(self._server.take_notes())

    def _keep(self, notes: dict[str, Any]) -> None:
        for method, code, reason, counts, seconds in notes["tallies"]:
            self.answered[method] += sum(counts)
            self._metrics.observe_many(method, code, reason, counts, seconds)
        self.kept += notes["n_kept"]
        platform = self._platform
        if notes["n_shown"]:
            platform.exposure.count(notes["n_shown"], notes["generated"])
            platform.observer.shown(notes["n_shown"], len(notes["generated"]))
        self._count_windows()
        if platform.answers is not None:
            for answer_id, user_id, strategy, snapshot, items, at_ms in notes["shown"]:
                platform.answers.keep(LoggedRecommendation(answer_id, user_id, strategy, "", snapshot, items, at_ms))
        if notes["log"]:
            self._write_log(notes["log"])

    def _count_windows(self) -> None:
        self._server.set_windows([self._platform.exposure.totals(hours) for hours in self._windows])

    def _write_log(self, lines: bytes) -> None:
        handlers = logging.getLogger().handlers
        handler = handlers[0] if handlers else None
        if self._json and isinstance(handler, logging.StreamHandler):
            # The lines are in the log's own format already.
            handler.acquire()
            try:
                handler.flush()
                binary = getattr(handler.stream, "buffer", None)
                if binary is None:
                    handler.stream.write(lines.decode())
                else:
                    binary.write(lines)
                handler.flush()
            finally:
                handler.release()
            return
        for line in lines.splitlines():
            fields = json.loads(line)
            event, level = fields.pop("event"), fields.pop("level")
            del fields["timestamp"]
            getattr(self._log, level)(event, **fields)


@lru_cache(4096)
def _recorded_response(new: int, known: int) -> bytes:
    return event_service_pb2.RecordEventsResponse(accepted_count=new, duplicate_count=known).SerializeToString()


def _plain(strategy: Strategy) -> bool:
    """Does the Engine make this strategy's answers, with at most a search of vectors?"""
    generate = strategy.generate
    adapts = generate.enabled and generate.adapt_share
    return not (adapts or strategy.learning.enabled or generate.explore_slots)


def _traced(settings: Settings) -> bool:
    """Are there spans to make around each call? Python makes them, so that it gets every call."""
    return bool(settings.trace.endpoint)


def _options(settings: Settings, behind: str) -> dict[str, Any]:
    server, limits = settings.server, settings.limits
    files = pem_files(server.tls)
    log = logging.getLogger("aigc.call")
    # As of Admission: refused at once, to be tried again in a moment.
    busy = rich_status(
        ResourceExhaustedError(
            "more calls wait than can be answered in time; try again in a moment",
            reason="SERVER_BUSY",
            retry_delay_ms=200,
        )
    )
    late = rich_status(
        AigcError(
            "the deadline passed before the work was done; give more time or ask for less", reason="DEADLINE_EXCEEDED"
        ),
        grpc.StatusCode.DEADLINE_EXCEEDED,
    )
    return {
        "listen": server.listen,
        "behind": behind,
        "key": files.key,
        "certificate": files.certificate,
        "authority": files.authority,
        "max_message_bytes": server.max_message_bytes,
        "connection": connection_options(server),
        "threads": server.ingress.threads or len(os.sched_getaffinity(0)),
        # As gRPC has it, but of the cores that may be used, and without its least of two.
        "pollers": max(1, len(os.sched_getaffinity(0)) // 2),
        "limit_n": limits.n,
        "limit_batch": limits.batch,
        "limit_ids": limits.ids,
        "limit_id_bytes": limits.id_bytes,
        "native": _batching(server.ingress.recommend),
        "searches": _batching(server.ingress.searches),
        "events": _batching(server.ingress.events),
        "target_us": round(server.ingress.target_ms * 1000),
        "interval_us": round(server.ingress.interval_ms * 1000),
        "niceness": _RANKING,
        "pass_all": _traced(settings),
        # All lines, those of slow calls, or none.
        "log": 2 if log.isEnabledFor(logging.INFO) else 1 if log.isEnabledFor(logging.WARNING) else 0,
        "slow_seconds": settings.log.slow_ms / 1000 or math.inf,
        "logged_answers": 20_000,
        "kept_bytes": server.ingress.keep_mb * 1_000_000,
        "kept_ms": round(server.ingress.keep_seconds * 1000),
        "busy_message": busy.message,
        "busy_details": busy.SerializeToString(),
        "late_message": late.message,
        "late_details": late.SerializeToString(),
    }


def _batching(settings: BatchingSettings) -> dict[str, int]:
    return {
        "preferred": settings.preferred,
        "maximum": settings.maximum,
        "delay_us": settings.delay_us,
        "queue": settings.queue,
    }
