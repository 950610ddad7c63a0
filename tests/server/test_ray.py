"""The same service on a Ray cluster of two nodes on this machine, one of which is lost."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import grpc
import pytest
from click.testing import CliRunner
from google.rpc import error_details_pb2, status_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from grpc_status import rpc_status

from aigc.errors import InvalidInputError, UnavailableError
from aigc.v1 import (
    admin_service_pb2,
    catalog_service_pb2,
    event_pb2,
    event_service_pb2,
    item_pb2,
    profile_service_pb2,
)
from aigc.v1 import recommendation_service_pb2 as pb
from aigc_server.app import App, open_platform
from aigc_server.cli import cli
from aigc_server.ray.application import ReplicaOptions, application, build
from aigc_server.ray.context import AnsweredError, ReplicaContext
from aigc_server.ray.extra import need_ray
from aigc_server.ray.methods import METHODS, OFFERED
from aigc_server.ray.proxy import TIMEOUT_KEY, ProxyHandlers, add_services
from aigc_server.settings import ServerSettings, Settings, StoreSettings, TlsSettings
from tests.ray_nodes import ENVIRONMENT, Cluster, Node, cluster, free_port
from tests.server.conftest import Client, copy_home, settings_with, small_behaviour, small_catalogue

INSTALLED, WITHOUT = importlib.util.find_spec("ray") is not None, "needs the extra ray (pip install 'aigc[ray]')"
SOON_S = 1.0
MOST_BYTES = 1_000_000
RETRIES = (Path(__file__).resolve().parents[2] / "proto/aigc/v1/aigc_v1_service_config.json").read_text()


@dataclass
class Served:
    """Two nodes, with a replica and a proxy each."""

    cluster: Cluster
    head: Node
    second: Node
    addresses: tuple[str, str]
    home: Path
    url: str
    log: Path


@pytest.fixture(scope="module")
def served(postgres_server: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    if not INSTALLED:
        pytest.skip(WITHOUT)
    from tests.postgres import new_database

    folder = tmp_path_factory.mktemp("ray")
    home, url = folder / "home", new_database(postgres_server, "ray")
    platform = open_platform(Settings(store=StoreSettings(url=url)), home)
    platform.catalog.upsert(small_catalogue())
    platform.behaviour.record(small_behaviour())
    for _ in platform.build():
        pass
    platform.close()
    ports, http = (free_port(), free_port()), (free_port(), free_port())
    with cluster(folder) as nodes:
        head = nodes.add(cpus=2)
        second = nodes.add(
            cpus=1,
            environment={
                "RAY_SERVE_WORKER_PROXY_GRPC_PORT": str(ports[1]),
                "RAY_SERVE_WORKER_PROXY_HTTP_PORT": str(http[1]),
            },
        )
        log = folder / "serve.log"
        command = [sys.executable, "-m", "aigc_server.cli", "ray", "serve", "--home", str(home)]
        command += ["--address", nodes.address, "--port", str(ports[0]), "--http-port", str(http[0])]
        with log.open("wb") as out:
            process = subprocess.Popen(
                command,
                stdout=out,
                stderr=out,
                env=os.environ
                | ENVIRONMENT
                | {"AIGC_STORE__URL": url, "AIGC_SERVER__MAX_MESSAGE_BYTES": str(MOST_BYTES)},
            )
        try:
            wait(lambda: "serving on port" in log.read_text() or process.poll() is not None, 180)
            assert process.poll() is None, log.read_text()[-3000:]
            yield Served(nodes, head, second, (f"127.0.0.1:{ports[0]}", f"127.0.0.1:{ports[1]}"), home, url, log)
            process.send_signal(signal.SIGTERM)
            assert process.wait(60) == 0, log.read_text()[-3000:]
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()


@pytest.fixture
async def control(served: Served, tmp_path: Path) -> AsyncIterator[Client]:
    """``aigc serve`` beside it, on the same PostgreSQL."""
    home = tmp_path / "home"
    await asyncio.to_thread(copy_home, served.home, home)
    settings = replace(settings_with(), store=StoreSettings(url=served.url))
    app = App(await asyncio.to_thread(open_platform, settings, home), settings)
    await app.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{app.port}") as channel:
        yield Client(channel, app)
    await app.stop()


@pytest.fixture
async def proxies(served: Served) -> AsyncIterator[tuple[Client, Client]]:
    channels = [grpc.aio.insecure_channel(address) for address in served.addresses]
    yield Client(channels[0], None), Client(channels[1], None)  # type: ignore[arg-type]
    for channel in channels:
        await channel.close()


def wait(holds: Any, most_s: float) -> float:
    """Seconds until it holds."""
    began = time.monotonic()
    while not holds():
        assert time.monotonic() - began < most_s
        time.sleep(0.05)
    return time.monotonic() - began


def replicas(node: Node) -> int:
    return sum("ServeReplica:aigc" in title for title in node.titles().values())


async def outcome(call: Any) -> tuple[list[Any], Any]:
    """What came, and the status with its details, None for none."""
    came: list[Any] = []
    try:
        if hasattr(call, "__aiter__"):
            async for message in call:
                came.append(message)  # noqa: PERF401 (what came before an error counts)
        else:
            came.append(await call)
    except grpc.aio.AioRpcError as error:
        status = rpc_status.from_call(error)
        assert status is not None, error
        assert (status.code, status.message) == (error.code().value[0], error.details())
        return came, status
    return came, None


def like(number: int, user: str = "u", item: str = "space-1") -> event_pb2.Event:
    event = event_pb2.Event(id=f"like-{user}-{number}", user_id=user, item_id=item, type="like")
    event.event_time.GetCurrentTime()
    return event


async def test_answers_are_those_of_the_control_server(proxies: tuple[Client, Client], control: Client) -> None:
    for user in ("space-fan-0", "garden-fan-3", "nobody"):
        request = pb.RecommendRequest(user_id=user, n=10, explain=True)
        first, second, expected = [await c.recommendations.Recommend(request) for c in (*proxies, control)]
        for answer in (first, second):
            assert [i.item_id for i in answer.items] == [i.item_id for i in expected.items]
            # Weights of events fade with the time of the call.
            assert [i.score for i in answer.items] == pytest.approx([i.score for i in expected.items], rel=1e-4)
            assert answer.snapshot_id == expected.snapshot_id
            assert answer.model_versions == expected.model_versions
        assert len(expected.items) == 10


async def test_errors_keep_code_message_and_details(proxies: tuple[Client, Client], control: Client) -> None:
    def calls(client: Client) -> list[Any]:
        first = event_service_pb2.StreamEventsRequest(events=[like(0, "streamer")])
        wrong = event_service_pb2.StreamEventsRequest(events=[event_pb2.Event(id="x", user_id="u", type="like")])
        missing = profile_service_pb2.UpdatePreferencesRequest(update_mask={"paths": ["nonsense"]})
        return [
            client.recommendations.Recommend(pb.RecommendRequest(user_id="u", n=-3)),
            client.recommendations.Recommend(pb.RecommendRequest(user_id="u", strategy="none-such")),
            client.recommendations.SimilarItems(pb.SimilarItemsRequest(item_id="none-such")),
            client.profiles.UpdatePreferences(missing),
            client.catalog.DeleteItem(catalog_service_pb2.DeleteItemRequest(item_id="none-such")),
            client.events.StreamEvents(iter([first, wrong])),
            client.channel.unary_unary("/aigc.v1.RecommendationService/Recommend")(b"\xff\xff no message"),
        ]

    expected = [await outcome(call) for call in calls(control)]
    for client in proxies:
        got = [await outcome(call) for call in calls(client)]
        assert [status for _, status in got] == [status for _, status in expected]
    assert all(status.details for _, status in expected)
    kinds = {detail.TypeName() for _, status in expected for detail in status.details}
    assert kinds == {"google.rpc.ErrorInfo", "google.rpc.BadRequest"}
    # What a stream brought before its error arrives.
    assert len(got[-2][0]) == 1


async def test_an_event_through_either_proxy_counts_in_both_replicas_within_a_second(
    proxies: tuple[Client, Client],
) -> None:
    for here, user in zip(proxies, ("first", "second"), strict=True):
        asked = pb.RecommendRequest(user_id=user, n=40, strategy="collaborative")
        for client in proxies:
            assert "music-3" in [i.item_id for i in (await client.recommendations.Recommend(asked)).items]
        request = event_service_pb2.RecordEventsRequest(events=[like(1, user, "music-3")])
        assert (await here.events.RecordEvents(request)).accepted_count == 1
        began = time.monotonic()
        for client in proxies:
            # A proxy hands calls to the replica of its own node.
            while "music-3" in [i.item_id for i in (await client.recommendations.Recommend(asked)).items]:
                assert time.monotonic() - began < SOON_S


async def test_all_kinds_of_streams_work(proxies: tuple[Client, Client]) -> None:
    client = proxies[0]
    batches = [event_service_pb2.StreamEventsRequest(events=[like(i, "both-ways")]) for i in range(3)]
    acknowledged = [r async for r in client.events.StreamEvents(iter(batches))]
    assert [(r.batch_index, r.accepted_count) for r in acknowledged] == [(0, 1), (1, 1), (2, 1)]
    items = [item_pb2.Item(id=f"streamed-{i}", kind="text", title="space story") for i in range(3)]
    parts = [catalog_service_pb2.ImportItemsRequest(items=[item]) for item in items]
    assert (await client.catalog.ImportItems(iter(parts))).accepted_count == 3
    steps = [s async for s in client.admin.BuildSnapshot(admin_service_pb2.BuildSnapshotRequest())]
    assert steps[-1].snapshot.id
    # The other replica opens what this one published in the directory that they share.
    until = time.monotonic() + 10
    while (await proxies[1].recommendations.Recommend(pb.RecommendRequest(user_id="u"))).snapshot_id != steps[
        -1
    ].snapshot.id:
        assert time.monotonic() < until
        await asyncio.sleep(0.05)


async def test_a_caller_who_leaves_a_stream_ends_its_call_on_the_replica(
    served: Served, proxies: tuple[Client, Client]
) -> None:
    call = proxies[0].events.StreamEvents(metadata=(("x-request-id", "of-a-leaver"),))
    await call.write(event_service_pb2.StreamEventsRequest(events=[like(0, "leaver")]))
    assert (await call.read()).accepted_count == 1
    call.cancel()

    # The line that the replica logs when it is done with a call.
    await asyncio.to_thread(wait, lambda: "of-a-leaver" in served.log.read_text(), 20)


async def test_messages_have_the_limit_of_the_settings(proxies: tuple[Client, Client]) -> None:
    large = pb.RecommendRequest(user_id="u" * MOST_BYTES)
    first, second = (event_service_pb2.StreamEventsRequest(events=[like(i, n)]) for i, n in ((1, "small"), (2, "l")))
    second.events[0].user_id = large.user_id
    client = proxies[0]
    for call, before in (
        (client.recommendations.Recommend(large), 0),
        (client.events.StreamEvents(iter([first, second])), 1),
    ):
        came, status = await outcome(call)
        assert (len(came), status.code) == (before, grpc.StatusCode.RESOURCE_EXHAUSTED.value[0])
        info = error_details_pb2.ErrorInfo()
        assert status.details[0].Unpack(info)
        assert info.reason == "MESSAGE_TOO_LARGE"


async def test_a_replica_that_errs_is_no_replica_that_was_lost(proxies: tuple[Client, Client]) -> None:
    """Calls that were lost are made again: one that errs would for ever."""
    check = proxies[0].channel.unary_unary("/grpc.health.v1.Health/Check")
    _, status = await outcome(check(b"\xff\xff no message"))
    assert status.code == grpc.StatusCode.INTERNAL.value[0]


async def test_health_and_reflection_answer(served: Served, proxies: tuple[Client, Client]) -> None:
    stub = health_pb2_grpc.HealthStub(proxies[0].channel)
    for service in ("", *(s.full_name for s in OFFERED)):
        answer = await stub.Check(health_pb2.HealthCheckRequest(service=service))
        assert answer.status == health_pb2.HealthCheckResponse.SERVING
    with pytest.raises(grpc.aio.AioRpcError) as unknown:
        await stub.Check(health_pb2.HealthCheckRequest(service="none.such"))
    assert unknown.value.code() is grpc.StatusCode.NOT_FOUND
    reflection = reflection_pb2_grpc.ServerReflectionStub(proxies[0].channel)
    asked = reflection_pb2.ServerReflectionRequest(list_services="")
    listed = [
        s.name async for r in reflection.ServerReflectionInfo(iter([asked])) for s in r.list_services_response.service
    ]
    assert {s.full_name for s in OFFERED} < set(listed)


async def test_a_node_that_is_lost_costs_no_call_and_is_made_up_for(served: Served) -> None:
    config = json.dumps({"loadBalancingConfig": [{"round_robin": {}}]} | json.loads(RETRIES))
    target = "ipv4:" + ",".join(served.addresses)
    assert replicas(served.head) == replicas(served.second) == 1
    async with grpc.aio.insecure_channel(target, options=[("grpc.service_config", config)]) as channel:
        client = Client(channel, None)  # type: ignore[arg-type]
        ended, answered = asyncio.Event(), [0] * 4

        async def call_on(caller: int) -> None:
            while not ended.is_set():
                await client.recommendations.Recommend(pb.RecommendRequest(user_id="space-fan-0", n=5), timeout=10)
                answered[caller] += 1

        async def answers(more: int) -> None:
            wanted = [count + more for count in answered]
            async with asyncio.timeout(20):
                while any(count < least for count, least in zip(answered, wanted, strict=True)):
                    for caller in callers:
                        assert not caller.done(), caller.exception()
                    await asyncio.sleep(0.02)

        callers = [asyncio.create_task(call_on(caller)) for caller in range(4)]
        await answers(20)
        await asyncio.to_thread(served.second.kill)
        await asyncio.to_thread(wait, lambda: replicas(served.head) == 2, 40)
        await answers(20)
        ended.set()
        await asyncio.gather(*callers)


def test_without_the_extra_the_remedy_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(UnavailableError, match=r"pip install 'aigc\[ray\]'") as error:
        need_ray()
    assert error.value.reason == "MISSING_EXTRA"


def test_tls_is_refused_and_not_left_out(tmp_path: Path) -> None:
    tls = TlsSettings(certificate="server.pem", key="server.key")
    settings = Settings(server=ServerSettings(tls=tls))
    with pytest.raises(InvalidInputError, match="no TLS") as error:
        application(settings, tmp_path, ReplicaOptions())
    assert error.value.field == "server.tls.certificate"


def test_nothing_imports_ray_unasked_and_a_proxy_imports_no_engine() -> None:
    code = """
import sys, aigc_server.ray.proxy
assert not {"numpy", "faiss", "aigc.services"} & set(sys.modules)
import aigc_server.cli, aigc_server.app, aigc_server.ray.replica, aigc_server.ray.application, aigc_server.ray.training
assert "ray" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.skipif(not INSTALLED, reason=WITHOUT)
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_the_printed_configuration_is_one_of_serve(tmp_path: Path) -> None:
    import yaml
    from ray.serve.schema import ServeDeploySchema

    home = tmp_path / "with spaces: and # colons"
    printed = CliRunner().invoke(cli, ["ray", "config", "--home", str(home), "--replicas", "3", "--cpus", "0.5"])
    assert printed.exit_code == 0, printed.output
    config = ServeDeploySchema(**yaml.safe_load(printed.output))
    (app,) = config.applications
    assert app.args["home"] == str(home)
    module, _, name = str(app.import_path).partition(":")
    built = getattr(importlib.import_module(module), name)(app.args)
    assert built._bound_deployment.num_replicas == 3
    with pytest.raises(InvalidInputError, match="replica_count"):
        build({"home": str(home), "replica_count": 3})


class Context:
    """Of a call, as a proxy's server has it."""

    def __init__(self, *metadata: tuple[str, str]) -> None:
        self.metadata = metadata
        self.told: dict[str, Any] = {"code": 0, "details": "", "trailing": ()}

    def invocation_metadata(self) -> tuple[tuple[str, str], ...]:
        return self.metadata

    def time_remaining(self) -> float | None:
        return 1.5

    def code(self) -> Any:
        return self.told["code"]

    def details(self) -> str:
        return str(self.told["details"])

    def trailing_metadata(self) -> Any:
        return self.told["trailing"]

    def set_code(self, code: Any) -> None:
        self.told["code"] = code

    def set_details(self, details: str) -> None:
        self.told["details"] = details

    def set_trailing_metadata(self, trailing: Any) -> None:
        self.told["trailing"] = trailing


class Server:
    """Takes handlers."""

    def add_generic_rpc_handlers(self, handlers: Any) -> None:
        (self.handlers,) = handlers


def handler(path: str, **serve: Any) -> Any:
    """Ours of a method whose behaviour in Serve is ``serve``."""
    server = Server()
    add_services(None, server)
    handlers: ProxyHandlers = server.handlers
    assert set(handlers._method_handlers) == {m.path for m in METHODS}
    handlers._method_handlers = {p: h._replace(**serve) for p, h in handlers._method_handlers.items()}
    return handlers._method_handlers[path]


def recommend_by(serve: Any) -> Any:
    """Our handler of Recommend when Serve's is ``serve``."""
    return handler("/aigc.v1.RecommendationService/Recommend", unary_unary=serve).unary_unary


async def test_what_a_stream_brought_arrives_however_early_its_error_is_known() -> None:
    """A replica's messages leave with the status that the call has by then, which may be that of its end."""

    async def serve(requests: Any, context: Any) -> AsyncIterator[bytes]:
        yield b"first"
        with pytest.raises(AnsweredError):
            await ReplicaContext(context).abort(grpc.StatusCode.INVALID_ARGUMENT, "the third is wrong")
        yield b""
        yield b"third"
        yield b""

    context = Context()
    call = handler("/aigc.v1.EventService/StreamEvents", stream_stream=serve).stream_stream
    assert [message async for message in call(None, context)] == [b"first", b"", b"third"]
    assert (context.told["code"], context.told["details"]) == (grpc.StatusCode.INVALID_ARGUMENT, "the third is wrong")


@pytest.mark.parametrize(
    ("code", "told", "becomes", "reason"),
    [
        (grpc.StatusCode.INTERNAL, "The actor died.\nmore", grpc.StatusCode.UNAVAILABLE, "REPLICA_LOST"),
        (grpc.StatusCode.INTERNAL, "\033[36mray::ServeReplica:aigc:aigc", grpc.StatusCode.INTERNAL, "INTERNAL"),
        (grpc.StatusCode.NOT_FOUND, "no application", grpc.StatusCode.UNAVAILABLE, "NO_REPLICA"),
        (grpc.StatusCode.UNAVAILABLE, "", grpc.StatusCode.UNAVAILABLE, "NO_REPLICA"),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, "", grpc.StatusCode.RESOURCE_EXHAUSTED, "SERVER_BUSY"),
    ],
)
async def test_what_serve_answers_itself_gets_details_and_a_lost_replica_can_be_tried_again(
    code: grpc.StatusCode, told: str, becomes: grpc.StatusCode, reason: str
) -> None:
    async def serve(request: Any, context: Any) -> bytes:
        context.set_code(code.value[0])
        context.set_details(told)
        return b""

    context = Context()
    await recommend_by(serve)(b"", context)
    assert context.told["code"] is becomes
    status = status_pb2.Status.FromString(dict(context.told["trailing"])["grpc-status-details-bin"])
    info = error_details_pb2.ErrorInfo()
    assert status.details[0].Unpack(info)
    assert (info.reason, info.domain) == (reason, "aigc")
    assert status.message == context.told["details"]


async def test_what_a_replica_answers_is_left_as_it_is_and_the_deadline_reaches_it() -> None:
    async def serve(request: Any, context: Any) -> bytes:
        within = ReplicaContext(context)
        assert ("x", "y") in within.invocation_metadata()
        remaining = within.time_remaining()
        assert remaining is not None
        assert 1.4 < remaining <= 1.5
        with pytest.raises(AnsweredError):
            await within.abort(grpc.StatusCode.INTERNAL, "ours")
        return b""

    # A caller cannot give itself more time.
    context = Context(("x", "y"), (TIMEOUT_KEY, "999999"))
    await recommend_by(serve)(b"", context)
    assert (context.told["code"], context.told["details"]) == (grpc.StatusCode.INTERNAL, "ours")
