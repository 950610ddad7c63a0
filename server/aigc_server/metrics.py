"""Prometheus metrics, on a page of their own."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, start_http_server
from prometheus_client.core import CounterMetricFamily, Metric
from prometheus_client.registry import Collector

from aigc.errors import ConflictError

__all__ = ["Metrics"]

_BUCKETS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10)


class _Count(Collector):
    """A counter that is kept elsewhere."""

    def __init__(self, name: str, text: str, read: Callable[[], float]) -> None:
        self._name, self._text, self._read = name, text, read

    def collect(self) -> Iterator[Metric]:
        yield CounterMetricFamily(self._name, self._text, value=self._read())


class Metrics:
    """The server's counters; :meth:`serve` shows them."""

    def __init__(self) -> None:
        """A registry of its own, so that several servers fit one process."""
        self.registry = CollectorRegistry()
        self._calls = Counter("aigc_calls", "Calls by method and code", ["method", "code"], registry=self.registry)
        self._errors = Counter("aigc_errors", "Errors by reason", ["method", "reason"], registry=self.registry)
        self._latency = Histogram(
            "aigc_call_seconds", "Duration of calls", ["method"], buckets=_BUCKETS, registry=self.registry
        )
        self.in_flight = Gauge("aigc_calls_in_flight", "Calls in work", registry=self.registry)
        self._stop: Callable[[], None] | None = None

    def gauge(self, name: str, text: str, read: Callable[[], float]) -> None:
        """A figure that is read when the page is."""
        Gauge(name, text, registry=self.registry).set_function(read)

    def count(self, name: str, text: str, read: Callable[[], float]) -> None:
        """A figure that only rises, read when the page is; ``_total`` is added to its name."""
        self.registry.register(_Count(name, text, read))

    def observe(self, method: str, code: str, reason: str, seconds: float) -> None:
        """Count one call."""
        self._calls.labels(method, code).inc()
        self._latency.labels(method).observe(seconds)
        if reason:
            self._errors.labels(method, reason).inc()

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
