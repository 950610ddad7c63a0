"""How each peer is asked and what it answers, and the load generators: ours for gRPC, oha for HTTP."""

from __future__ import annotations

import json
import struct
import subprocess
import sys
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import grpc
from server_process import LOAD_CORE

from aigc.oip import inference_pb2 as oip
from aigc.v1 import recommendation_service_pb2 as aigc

HERE = Path(__file__).resolve().parent
N = 20
LIBRARIES = ("-lgrpc++", "-lgrpc", "-lgpr", "-labsl_synchronization", "-lnghttp2")


@dataclass(frozen=True)
class Load:
    """What one run measured: answers a second, and milliseconds."""

    rate: float
    p50_ms: float
    p99_ms: float


class Wire(Protocol):
    """One way of asking."""

    def ask(self, port: int, users: list[str]) -> dict[str, list[str]]:
        """User → the ids that the server gives, through an ordinary client."""

    def closed(self, port: int, users: list[str], seconds: float, outstanding: int) -> Load:
        """As fast as the server answers."""

    def open(self, port: int, users: list[str], seconds: float, rate: float) -> Load:
        """So many calls a second whatever becomes of the earlier ones; a call's time counts from when it was due."""


@dataclass(frozen=True)
class GrpcWire:
    """A unary method; ``benchmarks/ingress_load.cpp``, built at ``program``, sends the bytes over 8 connections."""

    program: Path
    work: Path
    method: str
    request: Callable[[str], bytes]
    ids: Callable[[bytes], list[str]]

    def ask(self, port: int, users: list[str]) -> dict[str, list[str]]:
        """See :class:`Wire`."""
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            call = channel.unary_unary(self.method)
            return {u: self.ids(call(self.request(u), wait_for_ready=True, timeout=60)) for u in users}

    def closed(self, port: int, users: list[str], seconds: float, outstanding: int) -> Load:
        """See :class:`Wire`."""
        return self._run("closed", port, users, seconds, outstanding)

    def open(self, port: int, users: list[str], seconds: float, rate: float) -> Load:
        """See :class:`Wire`."""
        return self._run("open", port, users, seconds, rate)

    def _run(self, mode: str, port: int, users: list[str], seconds: float, level: float) -> Load:
        requests = self.work / "requests"
        with requests.open("wb") as file:
            for message in map(self.request, users):
                file.write(struct.pack("<I", len(message)) + message)
        found = _on_load_core(
            [str(self.program), mode, f"127.0.0.1:{port}", self.method, str(requests), f"{seconds}", f"{level}"]
        )
        if set(found["codes"]) != {"0"}:
            raise SystemExit(f"{self.method} failed under load: {found}")
        return Load(found["rate"], found["p50_ms"], found["p99_ms"])


@dataclass(frozen=True)
class HttpWire:
    """A GET; oha at ``program`` keeps its connections open."""

    program: Path
    work: Path
    path: str
    ids: Callable[[Any], list[str]]

    def ask(self, port: int, users: list[str]) -> dict[str, list[str]]:
        """See :class:`Wire`."""
        found = {}
        for user in users:
            with urllib.request.urlopen(self._address(port, user), timeout=60) as reply:
                found[user] = self.ids(json.load(reply))
        return found

    def closed(self, port: int, users: list[str], seconds: float, outstanding: int) -> Load:
        """See :class:`Wire`.

        oha counts from its first call, when some connections wait long to be accepted; three seconds make those calls
        less than a hundredth.
        """
        return self._run(port, users, max(seconds, 3.0), ["-c", f"{outstanding}"])

    def open(self, port: int, users: list[str], seconds: float, rate: float) -> Load:
        """See :class:`Wire`."""
        return self._run(port, users, seconds, ["-c", "64", "-q", f"{round(rate)}", "--latency-correction"])

    def _address(self, port: int, user: str) -> str:
        return f"http://127.0.0.1:{port}{self.path.format(user=user, n=N)}"

    def _run(self, port: int, users: list[str], seconds: float, options: list[str]) -> Load:
        addresses = self.work / "addresses"
        addresses.write_text("".join(self._address(port, user) + "\n" for user in users))
        flags = [
            "--no-tui",
            "--worker-threads",
            "1",
            "--output-format",
            "json",
            "--urls-from-file",
            "-z",
            f"{round(seconds * 1000)}ms",
        ]
        found = _on_load_core([str(self.program), *flags, *options, str(addresses)])
        statuses = found["statusCodeDistribution"]
        if set(statuses) != {"200"}:
            raise SystemExit(f"{self.path} failed under load: {statuses} {found['errorDistribution']}")
        times = found["latencyPercentiles"]
        return Load(statuses["200"] / found["summary"]["total"], times["p50"] * 1e3, times["p99"] * 1e3)


def aigc_wire(program: Path, work: Path, strategy: str) -> GrpcWire:
    """Our own API."""

    def ids(reply: bytes) -> list[str]:
        return [item.item_id for item in aigc.RecommendResponse.FromString(reply).items]

    def request(user: str) -> bytes:
        return bytes(aigc.RecommendRequest(user_id=user, n=N, strategy=strategy).SerializeToString())

    return GrpcWire(program, work, "/aigc.v1.RecommendationService/Recommend", request, ids)


def own_proto_wire(program: Path, work: Path, stubs: Path) -> GrpcWire:
    """``recommender.proto``, from what protoc made of it in ``stubs``."""
    sys.path.insert(0, str(stubs))
    import recommender_pb2 as pb

    def ids(reply: bytes) -> list[str]:
        return [item.item_id for item in pb.Answer.FromString(reply).items]

    def request(user: str) -> bytes:
        return bytes(pb.Request(user_id=user, n=N).SerializeToString())

    return GrpcWire(program, work, "/compare.Recommender/Recommend", request, ids)


def inference_wire(program: Path, work: Path, model: str) -> GrpcWire:
    """The Open Inference Protocol."""

    def request(user: str) -> bytes:
        message = oip.ModelInferRequest(model_name=model)
        message.inputs.add(name="user_id", datatype="BYTES", shape=[1]).contents.bytes_contents.append(user.encode())
        message.inputs.add(name="n", datatype="INT64", shape=[1]).contents.int64_contents.append(N)
        return bytes(message.SerializeToString())

    def ids(reply: bytes) -> list[str]:
        outputs = {o.name: o for o in oip.ModelInferResponse.FromString(reply).outputs}
        return [i.decode() for i in outputs["item_id"].contents.bytes_contents]

    return GrpcWire(program, work, "/inference.GRPCInferenceService/ModelInfer", request, ids)


def build_grpc_load(program: Path) -> None:
    """Compile the load generator, unless it is newer than its source."""
    source = HERE.parent / "ingress_load.cpp"
    if not program.exists() or program.stat().st_mtime < source.stat().st_mtime:
        subprocess.run(["g++", "-std=c++17", "-O2", str(source), "-o", str(program), *LIBRARIES], check=True)


def _on_load_core(command: list[str]) -> dict[str, Any]:
    done = subprocess.run(["taskset", "-c", LOAD_CORE, *command], check=True, capture_output=True)
    return dict(json.loads(done.stdout))
