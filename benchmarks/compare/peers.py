"""Who is compared: how each is started and asked."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

from numpy_model import fit
from wire import HttpWire, Wire, aigc_wire, build_grpc_load, inference_wire, own_proto_wire

HERE = Path(__file__).resolve().parent
TOOLS = HERE.parents[1] / ".tools"
# One source, as the Python peers compute it: no reranker, no mixture, the whole history.
EASE = """description = "EASE alone"
calibration = "max"
history_limit = 1000

[[sources]]
kind = "item_item"
model = "ease"

[[sources]]
kind = "popular"
fallback = true

[rerank]
method = "none"
"""


@dataclass(frozen=True)
class Peer:
    """A server.

    Attributes:
        name: In the table.
        command: See :meth:`at`.
        questions: What is asked → how.
        version: Of what serves, in words.
        environment: Beside the caller's.
        ready: What it prints when it can answer, where it listens before.
        once: Too slow to start for every round: one start, all rounds.
    """

    name: str
    command: list[str]
    questions: dict[str, Wire]
    version: str
    environment: dict[str, str] = field(default_factory=dict)
    ready: str = ""
    once: bool = False

    def at(self, port: int) -> tuple[list[str], dict[str, str]]:
        """Its command line and environment; ``{port}``, ``{port_1}`` and ``{port_2}`` are put in."""
        ports = {"port": port, "port_1": port + 1, "port_2": port + 2}
        environment = {name: value.format(**ports) for name, value in self.environment.items()}
        return [part.format(**ports) for part in self.command], environment


def prepare(work: Path, ratings_folder: Path) -> dict[str, Peer]:
    """Train every peer on the same ratings, build what it needs, and give all whose programs are there."""
    load, oha = work / "grpc_load", TOOLS / "bin" / "oha"
    build_grpc_load(load)
    ratings, ease, als, lists = (work / n for n in ("data/ratings.csv", "ease.npz", "als.npz", "lists.db"))
    here = [sys.executable, "-m", "aigc_server.cli"]
    home = work / "home"
    if not home.exists():
        begun = work / "home-begun"
        shutil.rmtree(begun, ignore_errors=True)
        _call(work, *here, "import", "movielens", str(ratings_folder), "--home", str(begun))
        _call(work, *here, "train", "--home", str(begun))
        (begun / "strategies").mkdir(exist_ok=True)
        (begun / "strategies" / "ease.toml").write_text(EASE)
        begun.rename(home)
    if not ease.exists():
        fit(ratings, ease)
    found = {}
    ours = {label: aigc_wire(load, work, s) for s, label in (("default", "default"), ("ease", "EASE"))}
    native = {**ours, "collaborative": aigc_wire(load, work, "collaborative")}
    serve = [*here, "serve", "--home", str(home), "--listen", "127.0.0.1:{port}"]
    version = f"aigc {_commit()}"
    front = {"AIGC_SERVER__INGRESS__MODE": "on"}
    found["ingress"] = Peer("aigc, ingress, answers kept", serve, native, version, front)
    # None is refused for the time it would wait: 64 calls outstanding wait longer than the 5 ms of the default.
    ranked = front | {"AIGC_SERVER__INGRESS__KEEP_MB": "0", "AIGC_SERVER__INGRESS__TARGET_MS": "0"}
    found["ingress-ranked"] = Peer("aigc, ingress, every call ranked", serve, native, version, ranked)
    found["control"] = Peer("aigc, control server alone", serve, ours, version, {"AIGC_SERVER__INGRESS__MODE": "off"})

    own = own_proto_wire(load, work, _stubs(Path(sys.executable), work / "stubs"))
    plain = [sys.executable, str(HERE / "grpcio_numpy.py"), str(work / "stubs"), str(ease), "{port}"]
    version = f"grpcio {_installed(Path(sys.executable), 'grpcio')}"
    for way in ("lists", "dense"):
        found[f"grpcio-{way}"] = Peer(f"grpcio + numpy, {way}", [*plain, way], {"EASE": own}, version)

    python = TOOLS / "mlserver" / "bin" / "python"
    if python.exists():
        folder = _mlserver_folder(work / "mlserver", ease)
        found["mlserver"] = Peer(
            "MLServer, gRPC",
            [str(python), str(HERE / "mlserver_start.py"), str(folder), "{port}"],
            {"EASE": inference_wire(load, work, "recommender")},
            f"mlserver {_installed(python, 'mlserver')}",
            {"PYTHONPATH": str(HERE)},
        )
    python = TOOLS / "ray" / "bin" / "python"
    if python.exists():
        stubs = _stubs(python, work / "ray-stubs")
        version = f"ray {_installed(python, 'ray')}"
        paths = {"PYTHONPATH": f"{HERE}:{stubs}", "RAY_DEDUP_LOGS": "0", "RAY_USAGE_STATS_ENABLED": "0"}
        command = [str(python), str(HERE / "ray_serve.py"), str(stubs), str(ease), "{port}"]
        found["ray"] = Peer("Ray Serve, gRPC proxy", command, {"EASE": own}, version, paths, "ready", once=True)
        # What Ray offers for throughput, and the replica's own port, past the proxy.
        direct = {
            "RAY_SERVE_THROUGHPUT_OPTIMIZED": "1",
            "RAY_SERVE_DIRECT_INGRESS_MIN_GRPC_PORT": "{port}",
            "RAY_SERVE_DIRECT_INGRESS_MAX_GRPC_PORT": "{port_1}",
            "RAY_SERVE_DIRECT_INGRESS_MIN_HTTP_PORT": "{port_1}",
            "RAY_SERVE_DIRECT_INGRESS_MAX_HTTP_PORT": "{port_2}",
            "RAY_SERVE_DIRECT_INGRESS_MIN_DRAINING_PERIOD_S": "0",
        }
        command = [*command[:-1], "{port_2}"]
        found["ray-direct"] = Peer(
            "Ray Serve, gRPC, past its proxy", command, {"EASE": own}, version, {**paths, **direct}, "ready", once=True
        )
    python = TOOLS / "implicit" / "bin" / "python"
    if python.exists():
        script = str(HERE / "implicit_fastapi.py")
        if not lists.exists():
            _call(work, str(python), script, "fit", str(ratings), str(als), str(lists))
        found["fastapi"] = Peer(
            "FastAPI + implicit",
            [str(python), script, "serve", str(als), "{port}"],
            {"ALS": HttpWire(oha, work, "/recommend/{user}?n={n}", lambda got: [i["item_id"] for i in got])},
            f"implicit {_installed(python, 'implicit')}, fastapi {_installed(python, 'fastapi')}",
        )
        found["cached-lists"] = Peer(
            "cached lists (Go, SQLite)",
            [str(TOOLS / "bin" / "cached_lists"), str(lists), "127.0.0.1:{port}"],
            {"ALS, cached": HttpWire(oha, work, "/api/recommend/{user}?n={n}", list)},
            "modernc.org/sqlite v1.62.0",
        )
    return found


def _mlserver_folder(folder: Path, ease: Path) -> Path:
    model = folder / "recommender"
    model.mkdir(parents=True, exist_ok=True)
    settings = {
        "name": "recommender",
        "implementation": "mlserver_runtime.Recommender",
        "parameters": {"uri": str(ease)},
    }
    (model / "model-settings.json").write_text(json.dumps(settings))
    return folder


def _stubs(python: Path, folder: Path) -> Path:
    if not (folder / "recommender_pb2_grpc.py").exists():
        folder.mkdir(parents=True, exist_ok=True)
        out = [f"-I{HERE}", f"--python_out={folder}", f"--grpc_python_out={folder}"]
        subprocess.run([str(python), "-m", "grpc_tools.protoc", *out, "recommender.proto"], check=True)
    return folder


def _installed(python: Path, package: str) -> str:
    code = f"from importlib.metadata import version; print(version({package!r}))"
    return subprocess.run([str(python), "-c", code], check=True, capture_output=True, text=True).stdout.strip()


def _commit() -> str:
    command = ["git", "describe", "--always", "--dirty"]
    return subprocess.run(command, check=True, capture_output=True, text=True, cwd=HERE).stdout.strip()


def _call(work: Path, *command: str) -> None:
    with (work / "prepare.log").open("ab") as log:
        subprocess.run(command, check=True, stdout=log, stderr=log)
