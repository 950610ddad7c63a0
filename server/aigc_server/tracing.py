"""OpenTelemetry: a span around every call, in the process that serves and in the generator's, one trace for both.

The packages come with the extra ``otel`` and are imported only when ``trace.endpoint`` is set. The context travels as
W3C's ``traceparent`` (and ``tracestate``) in the calls' metadata.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from aigc.errors import UnavailableError
from aigc_server.settings import TraceSettings

__all__ = ["Tracing"]

Metadata = tuple[tuple[str, Any], ...]


class Tracing:
    """Makes spans and sends them to a collector; without an endpoint it does nothing at all."""

    def __init__(self, settings: TraceSettings, process: str) -> None:
        """Begin to send.

        Args:
            settings: Where to, and how many of them.
            process: Told as ``service.instance.id``: ``engine`` or ``generator``.

        Raises:
            UnavailableError: The extra is not installed.
        """
        self._provider: Any = None
        if not settings.endpoint:
            return
        try:
            from opentelemetry import context, propagate, trace
            from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
            from opentelemetry.sdk.resources import Resource
            from opentelemetry.sdk.trace import TracerProvider
            from opentelemetry.sdk.trace.export import BatchSpanProcessor
            from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
        except ModuleNotFoundError as error:
            raise UnavailableError(
                "trace.endpoint needs the extra: pip install 'aigc[otel]'", reason="MISSING_EXTRA"
            ) from error
        self._context, self._propagate, self._trace = context, propagate, trace
        resource = Resource.create({"service.name": settings.service, "service.instance.id": process})
        self._provider = TracerProvider(
            resource=resource, sampler=ParentBased(TraceIdRatioBased(settings.share)), shutdown_on_exit=False
        )
        exporter = OTLPSpanExporter(endpoint=settings.endpoint, insecure=not settings.tls)
        self._provider.add_span_processor(BatchSpanProcessor(exporter, schedule_delay_millis=settings.flush_ms))
        self._tracer = self._provider.get_tracer("aigc")

    @contextmanager
    def span(self, method: str, metadata: Mapping[str, Any]) -> Iterator[Mark]:
        """Around one call: the child of what its metadata names."""
        if self._provider is None:
            yield _SILENT
            return
        service, _, name = method.lstrip("/").rpartition("/")
        attributes = {"rpc.system": "grpc", "rpc.service": service, "rpc.method": name}
        parent = self._propagate.extract({k: v for k, v in metadata.items() if isinstance(v, str)})
        span = self._tracer.start_span(
            method.lstrip("/"), context=parent, kind=self._trace.SpanKind.SERVER, attributes=attributes
        )
        # Every call has a task, and so a context, of its own: nothing need be put back at the end.
        self._context.attach(self._trace.set_span_in_context(span))
        try:
            yield Mark(span)
        finally:
            span.end()

    def carried(self, metadata: Metadata) -> Metadata:
        """Metadata of a call to another process, naming the present span as its parent."""
        if self._provider is None:
            return metadata
        fields: dict[str, str] = {}
        self._propagate.inject(fields)
        return tuple((k, v) for k, v in metadata if k not in fields) + tuple(fields.items())

    def close(self) -> None:
        """Send what is left."""
        if self._provider is not None:
            self._provider.shutdown()


class Mark:
    """What is told of a span at its end."""

    def __init__(self, span: Any = None) -> None:
        self._span = span

    def outcome(self, code: int, reason: str, waited: float) -> None:
        """Status code, reason of an error, seconds in line."""
        if self._span is None:
            return
        self._span.set_attribute("rpc.grpc.status_code", code)
        self._span.set_attribute("aigc.queue_wait_ms", round(waited * 1000, 3))
        if reason:
            from opentelemetry.trace import Status, StatusCode

            self._span.set_attribute("error.type", reason)
            self._span.set_status(Status(StatusCode.ERROR, reason))


_SILENT = Mark()
