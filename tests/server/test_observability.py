"""The dashboard asks for what is there; traces cross both processes; slow calls are told."""

from __future__ import annotations

import asyncio
import json
import re
import threading
import urllib.request
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc
import pytest
import pytest_asyncio
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc
from prometheus_client.parser import text_string_to_metric_families
from structlog.testing import capture_logs

from aigc.errors import InvalidInputError
from aigc.services.generation_limits import GenerationLimits
from aigc.v1 import event_pb2, event_service_pb2, generation_service_pb2, recommendation_service_pb2
from aigc_server.app import App, open_platform
from aigc_server.settings import LogSettings, Settings, TraceSettings
from tests.conftest import ROOT
from tests.server.conftest import Client, copy_home, settings_with
from tests.server.failure import failure
from tests.server.generation import GenerationClient, add_small_models

pytestmark = pytest.mark.asyncio(loop_scope="module")
PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


class Collector(trace_service_pb2_grpc.TraceServiceServicer):
    """An OpenTelemetry collector that keeps what it gets."""

    def __init__(self) -> None:
        self.spans: list[tuple[str, Any]] = []
        self._came = threading.Condition()

    def Export(self, request: Any, context: Any) -> Any:  # noqa: N802
        with self._came:
            for part in request.resource_spans:
                told = {a.key: a.value.string_value for a in part.resource.attributes}
                for scope in part.scope_spans:
                    self.spans += [(told["service.instance.id"], span) for span in scope.spans]
            self._came.notify_all()
        return trace_service_pb2.ExportTraceServiceResponse()

    def named(self, process: str, name: str) -> Any:
        """Waits for a span."""

        def found() -> list[Any]:
            return [span for where, span in self.spans if (where, span.name) == (process, name)]

        with self._came:
            assert self._came.wait_for(found, timeout=20)
            return found()[0]


@pytest.fixture(scope="module")
def collector() -> Any:
    made = Collector()
    server = grpc.server(ThreadPoolExecutor(2))
    trace_service_pb2_grpc.add_TraceServiceServicer_to_server(made, server)
    made.port = server.add_insecure_port("127.0.0.1:0")  # type: ignore[attr-defined]
    server.start()
    yield made
    server.stop(None).wait()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(
    trained_home: Path, tmp_path_factory: pytest.TempPathFactory, collector: Any
) -> AsyncIterator[tuple[Client, GenerationClient]]:
    home = tmp_path_factory.mktemp("watched") / "home"
    copy_home(trained_home, home)
    add_small_models(home)
    settings = replace(
        settings_with(metrics_listen="127.0.0.1:0"),
        generation=GenerationLimits(niceness=0),
        trace=TraceSettings(endpoint=f"127.0.0.1:{collector.port}", flush_ms=20),
        log=LogSettings(slow_ms=1),
    )
    app = App(open_platform(Settings(), home), settings)
    await app.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{app.port}") as channel:
        yield Client(channel, app), GenerationClient(channel, app)
    await app.stop()


async def serve_calls(client: Client, generator: GenerationClient) -> None:
    """One of each kind."""
    recommend = recommendation_service_pb2.RecommendRequest(user_id="space-fan-0", n=5)
    await client.recommendations.Recommend(recommend)
    await client.recommendations.BatchRecommend(
        recommendation_service_pb2.BatchRecommendRequest(requests=[recommend] * 3)
    )
    await failure(client.recommendations.Recommend(recommendation_service_pb2.RecommendRequest(n=5000)))
    event = event_pb2.Event(id="e-1", user_id="space-fan-0", item_id="music-1", type="like")
    event.event_time.GetCurrentTime()
    await client.events.RecordEvents(event_service_pb2.RecordEventsRequest(events=[event]))
    prompt = generation_service_pb2.GenerateTextRequest(model="writer", prompt="春", max_tokens=5, seed=1)
    metadata = (("traceparent", PARENT),)
    async for _ in generator.generation.GenerateText(prompt, timeout=60, metadata=metadata):
        pass
    pictures = generation_service_pb2.GenerateImagesRequest(model="strokes", n=2)
    await generator.generation.GenerateImages(pictures, timeout=60)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def samples(server: tuple[Client, GenerationClient]) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    """The real page of a server that has served calls."""
    await serve_calls(*server)
    return await asyncio.to_thread(_page, server[0].app.metrics_port)


def _page(port: int) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as response:
        families = text_string_to_metric_families(response.read().decode())
    return {(s.name, frozenset(s.labels.items())): s.value for family in families for s in family.samples}


async def test_every_query_of_the_dashboard_names_what_is_there(samples: dict[Any, float]) -> None:
    board = json.loads((ROOT / "deploy" / "grafana" / "aigc.json").read_text())
    expressions = [target["expr"] for panel in board["panels"] for target in panel["targets"]]
    asked = set()
    for expression in expressions:
        for name, selector in re.findall(r"\b(aigc_\w+)(\{[^}]*\})?", expression):
            wanted = set(re.findall(r'(\w+)="([^"]*)"', selector))
            asked.add(name)
            assert any(n == name and wanted <= labels for n, labels in samples), expression
        grouped = {g.strip() for groups in re.findall(r"by \(([^)]*)\)", expression) for g in groups.split(",")}
        names = set(re.findall(r"\b(aigc_\w+)", expression))
        known = {key for n, labels in samples for key, _ in labels if n in names}
        assert grouped <= known, expression
    shown = {name for name, _ in samples if name.startswith("aigc_")}
    families = {re.sub(r"_(total|bucket|sum|count|created)$", "", name) for name in shown}
    unasked = families - {re.sub(r"_(total|bucket|sum|count)$", "", name) for name in asked}
    # Beside the dashboard: doubles of what it shows, by another cut.
    assert {n for n in unasked if not n.startswith("aigc_generator_")} == {
        "aigc_calls_admitted",
        "aigc_store_waiting_rows",
    }


async def test_the_figures_are_those_of_the_calls(samples: dict[Any, float]) -> None:
    def value(name: str, **labels: str) -> float:
        return samples[name, frozenset(labels.items())]

    assert value("aigc_batch_size_sum", batch="recommend") == 4
    assert value("aigc_engine_seconds_count", stage="engine") == 2
    assert value("aigc_recommended_items_total", origin="catalogue") == 20
    assert value("aigc_events_total", origin="here") == 1
    assert 0 < value("aigc_event_lag_seconds_sum", origin="here") < 5
    assert value("aigc_errors_total", method="/aigc.v1.RecommendationService/Recommend", reason="INVALID_INPUT") == 1
    assert 1 <= value("aigc_generator_tokens_total", model="writer@1") <= 5
    assert value("aigc_generator_starts") == 1


async def test_a_trace_goes_through_both_processes(samples: dict[Any, float], collector: Collector) -> None:
    name = "aigc.v1.GenerationService/GenerateText"
    front = await asyncio.to_thread(collector.named, "engine", name)
    behind = await asyncio.to_thread(collector.named, "generator", name)
    assert front.trace_id.hex() == behind.trace_id.hex() == PARENT.split("-")[1]
    assert front.parent_span_id.hex() == PARENT.split("-")[2]
    assert behind.parent_span_id == front.span_id
    alone = await asyncio.to_thread(collector.named, "engine", "aigc.v1.RecommendationService/BatchRecommend")
    assert not alone.parent_span_id


async def test_a_slow_call_is_told(server: tuple[Client, GenerationClient], samples: dict[Any, float]) -> None:
    pictures = generation_service_pb2.GenerateImagesRequest(model="strokes", n=64)
    with capture_logs() as lines:
        await server[1].generation.GenerateImages(pictures, timeout=60)
    told = [line for line in lines if line["event"] == "slow call"]
    assert [(line["log_level"], line["method"].rpartition("/")[2]) for line in told] == [("warning", "GenerateImages")]
    assert told[0]["ms"] >= 1


async def test_settings_without_a_meaning_are_refused() -> None:
    for make in (lambda: TraceSettings(share=2), lambda: TraceSettings(flush_ms=0), lambda: LogSettings(slow_ms=-1)):
        with pytest.raises(InvalidInputError):
            make()
