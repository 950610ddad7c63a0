"""Load by ``aigc bench`` and by ghz, the verdict over ghz's reports, and other projects' probes on a live server."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from google.protobuf import descriptor_pool

from aigc.errors import InvalidInputError, UnavailableError
from aigc_server.app import GENERATED, SERVICES
from aigc_server.load import Load, put_load
from tests.conftest import ROOT
from tests.server.conftest import Client

GHZ = ROOT / "benchmarks" / "ghz"
TOOLS = ROOT / ".tools" / "bin"


def script(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"ghz_{name}", GHZ / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


async def run(tool: str, *arguments: str) -> str:
    if not (TOOLS / tool).exists():
        pytest.skip(f"needs {tool} in .tools/bin (make tools)")
    process = await asyncio.create_subprocess_exec(
        TOOLS / tool, *arguments, cwd=ROOT, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    out, _ = await process.communicate()
    assert process.returncode == 0, out.decode()
    return out.decode()


def address(client: Client) -> str:
    return f"127.0.0.1:{client.app.port}"


async def test_a_closed_loop_counts_what_was_answered(client: Client) -> None:
    load = Load(users=4, seconds=0.3, warm_up=0.05, user_ids=("space-fan-0", "music-fan-1"), n=5)
    told = (await put_load(address(client), load)).fields()
    assert told["errors"] == {}
    assert told["calls"] > 4
    assert told["requests_per_second"] == pytest.approx(told["calls"] / told["seconds"], rel=0.01)
    assert 0 < told["p50_ms"] <= told["p99_ms"] <= told["max_ms"]


async def test_an_open_loop_keeps_its_rate(client: Client) -> None:
    told = (await put_load(address(client), Load(rate=100, seconds=0.5, warm_up=0))).fields()
    assert told["calls"] == 50


async def test_every_call_of_the_engine_can_be_put(client: Client) -> None:
    for rpc in ("batch_recommend", "record_events", "health"):
        told = (await put_load(address(client), Load(rpc, users=2, seconds=0.1, warm_up=0, n=3))).fields()
        assert (told["errors"], told["calls"] > 0) == ({}, True)


async def test_what_fails_is_counted_by_its_words(client: Client) -> None:
    told = (await put_load(address(client), Load(users=1, seconds=0.1, n=5000))).fields()
    assert told["calls"] == 0
    assert next(iter(told["errors"])).startswith("INVALID_ARGUMENT: n is 5000")


async def test_load_without_a_meaning_is_refused(client: Client) -> None:
    for wrong in ({"rpc": "x"}, {"users": 0}, {"rate": -1.0}, {"seconds": 0.0}, {"seconds": float("nan")}):
        with pytest.raises(InvalidInputError):
            Load(**wrong)  # type: ignore[arg-type]
    with pytest.raises(UnavailableError, match="no server answers"):
        await put_load("127.0.0.1:1", Load(), connect_s=0.2)


async def test_the_command_tells_json_and_fails_on_errors(client: Client) -> None:
    arguments = [sys.executable, "-m", "aigc_server.cli", "bench", "--server", address(client), "--seconds", "0.2"]
    process = await asyncio.create_subprocess_exec(
        *arguments, "--n", "100000", "--json", stdout=asyncio.subprocess.PIPE
    )
    told = json.loads((await process.communicate())[0])
    assert (process.returncode, told["rpc"], told["calls"]) == (1, "recommend", 0)
    assert next(iter(told["errors"])).startswith("INVALID_ARGUMENT")


async def test_every_rpc_has_a_configuration_whose_proto_is_there(client: Client) -> None:
    pool: Any = descriptor_pool.Default()
    services = [pool.FindServiceByName(name) for name in (*SERVICES, *(s.full_name for s in GENERATED))]
    wanted = {method.full_name for service in services for method in service.methods}
    configs = [json.loads(path.read_text()) for path in (GHZ / "configs").glob("*.json")]
    assert {config["call"] for config in configs} == wanted | {"grpc.health.v1.Health.Check"}
    assert all((ROOT / config["proto"]).exists() for config in configs if "proto" in config)
    assert set(json.loads((GHZ / "baseline.json").read_text())) == {p.stem for p in (GHZ / "configs").glob("*.json")}


async def test_ghz_runs_a_configuration_without_an_error(client: Client, tmp_path: Path) -> None:
    out = tmp_path / "RecommendationService.Recommend.json"
    config = str(GHZ / "configs" / out.name)
    await run("ghz", "--config", config, "-z", "300ms", "-O", "json", "-o", str(out), address(client))
    report = script("check").read_report(out)
    assert report.count > 0
    assert report.errors == {}


async def test_grpcurl_finds_services_and_methods_by_reflection(client: Client) -> None:
    listed = (await run("grpcurl", "-plaintext", address(client), "list")).split()
    assert set(SERVICES) < set(listed)
    method = "aigc.v1.RecommendationService.Recommend"
    assert "returns ( .aigc.v1.RecommendResponse )" in await run(
        "grpcurl", "-plaintext", address(client), "describe", method
    )
    answer = await run("grpcurl", "-plaintext", "-d", '{"n": 3}', address(client), method)
    assert len(json.loads(answer)["items"]) == 3


async def test_the_health_probe_is_content(client: Client) -> None:
    for service in ("", "aigc.v1.RecommendationService", "inference.GRPCInferenceService"):
        told = await run("grpc-health-probe", "-addr", address(client), "-service", service)
        assert "SERVING" in told


def report(name: str, rps: float, errors: dict[str, int] | None = None) -> Any:
    return script("check").Measured(name, 1000, errors or {}, rps, 1.0, 2.0)


def test_the_verdict_names_errors_slowness_and_what_is_missing(tmp_path: Path) -> None:
    judge = script("check").judge
    baseline = {"fast": 0.5, "slow": 0.5, "absent": 0.1}
    reports = [report("fast", 300.0), report("slow", 200.0), report("broken", 900.0, {"rpc error: x": 3})]
    problems = judge(reports, 1000.0, baseline)
    assert [p.split(":")[0] for p in problems] == ["slow", "broken", "absent"]
    assert "3 of 1000 calls failed: 3 × rpc error: x" in problems[1]
    # Half as fast a machine is as good: the peer is half as fast too.
    assert judge([report("fast", 150.0)], 500.0, {"fast": 0.5}) == []


def test_the_checker_ends_with_its_verdict(tmp_path: Path) -> None:
    for name, rps in (("peer", 1000.0), ("fast", 100.0)):
        (tmp_path / f"{name}.json").write_text(json.dumps({"count": 100, "rps": rps, "latencyDistribution": None}))
    baseline = tmp_path / "base.txt"
    command = [sys.executable, GHZ / "check.py", tmp_path, "--baseline", baseline]
    assert subprocess.run([*command, "--update"], check=False, capture_output=True).returncode == 0
    baseline.write_text(json.dumps({"fast": 0.9}))
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 1
    assert "FAILED fast: 0.1000 of the constant reply's requests/s, where the baseline has 0.9000" in done.stdout
