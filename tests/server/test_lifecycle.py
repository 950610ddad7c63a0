"""Health, drain, deadlines, admission, TLS, reflection, metrics: what operators rely on."""

from __future__ import annotations

import asyncio
import subprocess
import urllib.request
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from aigc.errors import ConflictError, InvalidInputError, ResourceExhaustedError
from aigc.v1 import admin_service_pb2 as admin
from aigc.v1 import recommendation_service_pb2 as pb
from aigc.v1 import recommendation_service_pb2_grpc
from aigc_server.app import SERVICES, App, open_platform
from aigc_server.interceptors.admission import Admission
from aigc_server.settings import Settings, TlsSettings
from tests.faults import hostile
from tests.server.conftest import Client, copy_home, settings_with
from tests.server.failure import failure

pytestmark = pytest.mark.usefixtures("front")

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


async def test_watchers_see_the_drain_before_it_ends(trained_home: Path, tmp_path: Path) -> None:
    copy_home(trained_home, tmp_path / "home")
    app = App(open_platform(Settings(), tmp_path / "home"), settings_with())
    await app.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{app.port}") as channel:
        health = health_pb2_grpc.HealthStub(channel)
        watch = health.Watch(health_pb2.HealthCheckRequest(service="aigc.v1.RecommendationService"))
        assert (await watch.read()).status == SERVING
        stopping = asyncio.create_task(app.stop())
        assert (await watch.read()).status == NOT_SERVING
        watch.cancel()
        await stopping


async def test_a_connection_of_age_is_told_to_go_and_no_call_fails(trained_home: Path, tmp_path: Path) -> None:
    copy_home(trained_home, tmp_path / "home")
    app = App(open_platform(Settings(), tmp_path / "home"), settings_with(max_connection_age_ms=150))
    await app.start()
    reader, writer = await asyncio.open_connection("127.0.0.1", app.port)
    writer.write(hostile.PREFACE + hostile.settings())
    goaway = asyncio.create_task(asyncio.wait_for(reader.readuntil(bytes((hostile.GOAWAY, 0, 0, 0, 0, 0))), 20))
    async with grpc.aio.insecure_channel(f"127.0.0.1:{app.port}") as channel:
        recommend = recommendation_service_pb2_grpc.RecommendationServiceStub(channel).Recommend
        while not goaway.done():
            assert (await recommend(pb.RecommendRequest(n=5), timeout=20)).items
    await goaway
    writer.close()
    await app.stop()


async def test_every_service_is_healthy_and_reflected(client: Client) -> None:
    health = health_pb2_grpc.HealthStub(client.channel)
    for name in ("", *SERVICES):
        assert (await health.Check(health_pb2.HealthCheckRequest(service=name))).status == SERVING
    stub = reflection_pb2_grpc.ServerReflectionStub(client.channel)
    call = stub.ServerReflectionInfo(iter([reflection_pb2.ServerReflectionRequest(list_services="")]))
    listed = [s.name async for response in call for s in response.list_services_response.service]
    assert set(SERVICES) < set(listed)


async def test_a_call_whose_deadline_passes_while_it_waits_does_no_work(front: str, client: Client) -> None:
    if front == "ingress":
        pytest.skip("holds the control server's turns; tests/server/test_ingress.py holds the ingress's")
    async with AsyncExitStack() as stack:
        for _ in range(client.app.settings.max_concurrent):
            await stack.enter_async_context(client.app.admission.turn())
        got = await failure(client.recommendations.Recommend(pb.RecommendRequest(n=5), timeout=0.1))
        assert got.code is grpc.StatusCode.DEADLINE_EXCEEDED
    assert (await client.recommendations.Recommend(pb.RecommendRequest(n=5), timeout=5)).items


async def test_a_build_tells_how_far_it_is_and_serves_at_its_end(client: Client) -> None:
    before = client.app.platform.live.serving.snapshot_id
    steps = [step async for step in client.admin.BuildSnapshot(admin.BuildSnapshotRequest())]
    assert [s.fraction for s in steps] == sorted(s.fraction for s in steps)
    assert steps[-1].snapshot.id == client.app.platform.live.serving.snapshot_id != before
    status = await client.admin.GetStatus(admin.GetStatusRequest())
    assert (status.item_count, status.snapshot.item_count) == (40, 40)


async def test_a_cancelled_build_publishes_nothing_and_the_next_one_works(client: Client) -> None:
    before = client.app.platform.snapshots.current_id()
    call = client.admin.BuildSnapshot(admin.BuildSnapshotRequest())
    await call.read()
    call.cancel()
    deadline = asyncio.get_running_loop().time() + 20
    while True:
        steps = []
        try:
            steps = [s async for s in client.admin.BuildSnapshot(admin.BuildSnapshotRequest())]
            break
        except grpc.aio.AioRpcError as error:
            # Until the cancelled build has let go.
            assert error.code() is grpc.StatusCode.FAILED_PRECONDITION
            assert asyncio.get_running_loop().time() < deadline
    assert steps[-1].snapshot.id != before


async def test_strategies_are_listed(client: Client) -> None:
    listed = await client.admin.ListStrategies(admin.ListStrategiesRequest())
    assert "default" in [s.name for s in listed.strategies]


async def test_more_callers_than_may_wait_are_refused_at_once() -> None:
    admission = Admission(concurrent=1, waiting=1)
    release = asyncio.Event()

    async def caller() -> None:
        async with admission.turn():
            await release.wait()

    callers = [asyncio.create_task(caller()) for _ in range(2)]
    while admission.inside < 2:
        await asyncio.sleep(0)
    with pytest.raises(ResourceExhaustedError) as refused:
        async with admission.turn():
            pass
    assert refused.value.retry_delay_ms > 0
    release.set()
    await asyncio.gather(*callers)
    assert admission.inside == 0


async def test_an_oversized_message_is_refused(trained_home: Path, tmp_path: Path) -> None:
    copy_home(trained_home, tmp_path / "home")
    app = App(open_platform(Settings(), tmp_path / "home"), settings_with(max_message_bytes=1000))
    await app.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{app.port}") as channel:
        stub = recommendation_service_pb2_grpc.RecommendationServiceStub(channel)
        got = await failure(stub.Recommend(pb.RecommendRequest(user_id="u", categories=["x" * 100] * 50)))
        assert got.code is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert (await stub.Recommend(pb.RecommendRequest(n=2))).items
    await app.stop()


async def test_a_port_in_use_is_one_clear_error(client: Client, tmp_path: Path) -> None:
    settings = settings_with()
    taken = replace(settings, server=replace(settings.server, listen=f"127.0.0.1:{client.app.port}"))
    second = App(open_platform(Settings(), tmp_path / "second"), taken)
    with pytest.raises(ConflictError, match=str(client.app.port)) as error:
        await second.start()
    assert error.value.reason == "PORT_IN_USE"
    await second.stop()


async def test_the_metrics_page_counts_calls(trained_home: Path, tmp_path: Path) -> None:
    copy_home(trained_home, tmp_path / "home")
    app = App(open_platform(Settings(), tmp_path / "home"), settings_with(metrics_listen="127.0.0.1:0"))
    await app.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{app.port}") as channel:
        stub = recommendation_service_pb2_grpc.RecommendationServiceStub(channel)
        await stub.Recommend(pb.RecommendRequest(n=2))
        await failure(stub.Recommend(pb.RecommendRequest(n=5000)))
    page = await asyncio.to_thread(_read, f"http://127.0.0.1:{app.metrics_port}/metrics")
    method = "/aigc.v1.RecommendationService/Recommend"
    assert f'aigc_calls_total{{code="OK",method="{method}"}} 1.0' in page
    assert f'aigc_errors_total{{method="{method}",reason="INVALID_INPUT"}} 1.0' in page
    await app.stop()


def _read(url: str) -> str:
    with urllib.request.urlopen(url, timeout=5) as response:
        return str(response.read().decode())


async def test_mutual_tls_lets_in_only_who_shows_a_certificate(trained_home: Path, tmp_path: Path) -> None:
    copy_home(trained_home, tmp_path / "home")
    _certificate(tmp_path, "server")
    _certificate(tmp_path, "client")
    tls = TlsSettings(str(tmp_path / "server.pem"), str(tmp_path / "server.key"), str(tmp_path / "client.pem"))
    app = App(open_platform(Settings(), tmp_path / "home"), settings_with(tls=tls))
    await app.start()
    root = (tmp_path / "server.pem").read_bytes()
    own = (tmp_path / "client.key").read_bytes(), (tmp_path / "client.pem").read_bytes()
    for credentials, welcome in (
        (grpc.ssl_channel_credentials(root, *own), True),
        (grpc.ssl_channel_credentials(root), False),
    ):
        async with grpc.aio.secure_channel(f"localhost:{app.port}", credentials) as channel:
            call = recommendation_service_pb2_grpc.RecommendationServiceStub(channel).Recommend(
                pb.RecommendRequest(n=2), timeout=5
            )
            if welcome:
                assert (await call).items
            else:
                assert (await failure(call)).code is grpc.StatusCode.UNAVAILABLE
    await app.stop()


def _certificate(folder: Path, name: str) -> None:
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"]
        + ["-keyout", f"{name}.key", "-out", f"{name}.pem", "-subj", "/CN=localhost"]
        + ["-addext", "subjectAltName=DNS:localhost"],
        cwd=folder,
        check=True,
        capture_output=True,
    )


async def test_a_broken_certificate_is_named(tmp_path: Path) -> None:
    (tmp_path / "bad.pem").write_text("nothing")
    tls = TlsSettings(str(tmp_path / "bad.pem"), str(tmp_path / "absent.key"))
    app = App(open_platform(Settings(), tmp_path / "home"), settings_with(tls=tls))
    with pytest.raises(InvalidInputError, match=r"server\.tls\.key .*absent\.key cannot be read"):
        await app.start()
    await app.stop()
