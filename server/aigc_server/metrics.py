"""Prometheus metrics, on a page of their own."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest, start_http_server
from prometheus_client.core import CounterMetricFamily, Metric
from prometheus_client.registry import Collector

from aigc.errors import ConflictError
from aigc.services.observer import Observer

__all__ = ["Metrics", "PlatformMetrics"]

_BUCKETS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10)
_SHORT = (0.00005, 0.0001, 0.0002, *_BUCKETS[:-3])
_SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 4096, 16384)


class _Count(Collector):
    """A counter that is kept elsewhere."""

    def __init__(self, name: str, text: str, read: Callable[[], float]) -> None:
        self._name, self._text, self._read = name, text, read

    def collect(self) -> Iterator[Metric]:
        yield CounterMetricFamily(self._name, self._text, value=self._read())


class _Before(Collector):
    """Shows nothing; runs what has to run before the page is made."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def collect(self) -> Iterable[Metric]:
        self._metrics.before_page()
        return ()


class Metrics:
    """A server's counters of its calls; :meth:`serve` shows them."""

    def __init__(self, prefix: str = "aigc") -> None:
        """A registry of its own, so that several servers fit one process. Args: prefix: of every name."""
        self._prefix = prefix
        self.registry = CollectorRegistry()
        self.before_page: Callable[[], None] = lambda: None
        # The first collector is asked first: what another front counted comes in before the figures are read.
        self.registry.register(_Before(self))
        self._calls = Counter(f"{prefix}_calls", "Calls by method and code", ["method", "code"], registry=self.registry)
        self._errors = Counter(f"{prefix}_errors", "Errors by reason", ["method", "reason"], registry=self.registry)
        self._latency = Histogram(
            f"{prefix}_call_seconds", "Duration of calls", ["method"], buckets=_BUCKETS, registry=self.registry
        )
        self._wait = Histogram(
            f"{prefix}_queue_wait_seconds", "Wait of calls for their turn", buckets=_SHORT, registry=self.registry
        )
        self._depth = Gauge(f"{prefix}_queue_depth", "What waits now", ["queue"], registry=self.registry)
        self.in_flight = Gauge(f"{prefix}_calls_in_flight", "Calls in work", registry=self.registry)
        self._stop: Callable[[], None] | None = None

    def gauge(self, name: str, text: str, read: Callable[[], float]) -> None:
        """A figure that is read when the page is."""
        Gauge(f"{self._prefix}_{name}", text, registry=self.registry).set_function(read)

    def count(self, name: str, text: str, read: Callable[[], float]) -> None:
        """A figure that only rises, read when the page is; ``_total`` is added to its name."""
        self.registry.register(_Count(f"{self._prefix}_{name}", text, read))

    def depth(self, queue: str, read: Callable[[], float]) -> None:
        """How much waits in a queue, read when the page is."""
        self._depth.labels(queue).set_function(read)

    def collect(self, collector: Collector) -> None:
        """Show what a collector gives, too."""
        self.registry.register(collector)

    def observe(self, method: str, code: str, reason: str, seconds: float) -> None:
        """Count one call."""
        self._calls.labels(method, code).inc()
        self._latency.labels(method).observe(seconds)
        if reason:
            self._errors.labels(method, reason).inc()

    def observe_many(self, method: str, code: str, reason: str, counts: Sequence[int], seconds: float) -> None:
        """Count calls of another front: ``counts`` of durations, one a bucket, and ``seconds`` in all."""
        self._calls.labels(method, code).inc(sum(counts))
        if reason:
            self._errors.labels(method, reason).inc(sum(counts))
        # prometheus_client can only observe one by one, which would cost more than the calls did.
        latency: Any = self._latency.labels(method)
        latency._sum.inc(seconds)
        for bucket, count in zip(latency._buckets, counts, strict=True):
            bucket.inc(count)

    def waited(self, seconds: float) -> None:
        """A call had to wait so long for its turn."""
        self._wait.observe(seconds)

    def page(self) -> bytes:
        """The page, in Prometheus' text format."""
        return generate_latest(self.registry)

    def serve(self, listen: str) -> int:
        """Show the page at HOST:PORT, and give the port.

        Raises:
            ConflictError: The port is taken.
        """
        host, _, port = listen.rpartition(":")
        try:
            server, thread = start_http_server(int(port), host, self.registry)
        except OSError as error:
            raise ConflictError(
                f"server.metrics_listen {listen} cannot be used ({error.strerror}); give another port",
                reason="PORT_IN_USE",
            ) from error

        def stop() -> None:
            server.shutdown()
            server.server_close()
            thread.join()

        self._stop = stop
        return int(server.server_port)

    def close(self) -> None:
        """End the page."""
        if self._stop is not None:
            self._stop()


class PlatformMetrics(Observer):
    """What the use cases tell, counted."""

    def __init__(self, metrics: Metrics) -> None:
        """Args: metrics: whose page shows it."""
        registry = metrics.registry
        self._stages = Histogram(
            "aigc_engine_seconds", "Parts of a recommendation", ["stage"], buckets=_SHORT, registry=registry
        )
        self._sizes = Histogram(
            "aigc_batch_size",
            "Users of an Engine call, events of a call, rows of a commit",
            ["batch"],
            buckets=_SIZES,
            registry=registry,
        )
        self._commits = Histogram("aigc_commit_seconds", "Duration of commits", buckets=_BUCKETS, registry=registry)
        self._lag = Histogram(
            "aigc_event_lag_seconds",
            "From an event's arrival until it counts in the Engine",
            ["origin"],
            buckets=_BUCKETS,
            registry=registry,
        )
        self._events = Counter("aigc_events", "Events stored here or by another replica", ["origin"], registry=registry)
        self._shown = Counter("aigc_recommended_items", "Items in answers", ["origin"], registry=registry)

    def answered(self, users: int, seconds: Mapping[str, float], items: int, generated: int) -> None:
        """See :class:`Observer`."""
        for stage, duration in seconds.items():
            self._stages.labels(stage).observe(duration)
        self._sizes.labels("recommend").observe(users)
        self.shown(items, generated)

    def shown(self, items: int, generated: int) -> None:
        """See :class:`Observer`."""
        self._shown.labels("catalogue").inc(items - generated)
        self._shown.labels("generated").inc(generated)

    def recorded(self, events: int, seconds: float) -> None:
        """See :class:`Observer`."""
        self._sizes.labels("record_events").observe(events)
        self._lag.labels("here").observe(seconds)
        self._events.labels("here").inc(events)

    def followed(self, events: int, seconds: float) -> None:
        """See :class:`Observer`."""
        self._lag.labels("replica").observe(seconds)
        self._events.labels("replica").inc(events)

    def committed(self, rows: int, seconds: float) -> None:
        """See :class:`Observer`."""
        self._sizes.labels("commit").observe(rows)
        self._commits.observe(seconds)
