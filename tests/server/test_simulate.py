"""``aigc simulate`` on the world of words, with a real server a strategy."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from click.testing import CliRunner

from aigc.errors import InvalidInputError, NotFoundError
from aigc.evaluate.simulation.toy import WordReader, toy_world
from aigc.evaluate.simulation.trace import Trace
from aigc_server.cli import cli
from aigc_server.simulation import Simulation, SimulationOptions, best_still

SMALL = ["--world", "toy", "--each", "3", "--seeds", "1", "--users", "4", "--rounds", "2", "--n", "4"]


def simulation(folder: Path, strategies: tuple[str, ...] = ("content",), **more: Path) -> Simulation:
    options = SimulationOptions(strategies, seeds=1)
    return Simulation("toy", toy_world, WordReader, options, folder, **more)


@pytest.mark.slow
def test_a_real_server_is_simulated_compared_drawn_and_not_run_again(tmp_path: Path) -> None:
    arguments = ["simulate", *SMALL, "--strategies", "content,popular", "--out", str(tmp_path), "--json"]
    done = CliRunner().invoke(cli, arguments, catch_exceptions=False)
    (told,) = json.loads(done.stdout)
    assert [row["strategy"] for row in told["strategies"]] == ["content", "popular"]
    assert told["baseline"] in ("content", "popular")
    assert all(row["engagement"][0] > 0 and row["lists_over_cap"] == 0 for row in told["strategies"])
    assert Path(told["plot"]).is_file()
    assert not list(tmp_path.glob("home-*")) + list(tmp_path.glob("start-*"))
    traces = sorted((tmp_path / "traces").iterdir())
    before = [t.stat().st_mtime_ns for t in traces]
    again = CliRunner().invoke(cli, arguments[:-1], catch_exceptions=False)
    assert "content" in again.stdout
    assert "0 lists" in again.stdout
    assert [t.stat().st_mtime_ns for t in traces] == before
    (trace,) = Trace.from_json(json.loads(traces[0].read_text())["trace"]).visits[None]
    assert trace.sum() > 0


@pytest.mark.slow
def test_sigterm_ends_the_server_of_the_run_too(tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "aigc_server.cli",
        "simulate",
        *SMALL,
        "--strategies",
        "content",
        "--rounds",
        "500",
    ]
    ran = subprocess.Popen([*command, "--out", str(tmp_path)])
    try:
        note = tmp_path / "home-toy-thin-content" / "server.json"
        deadline = time.monotonic() + 60
        server: psutil.Process | None = None
        while server is None:
            assert ran.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.05)
            text = note.read_text() if note.exists() else ""
            if text.endswith("\n"):
                server = psutil.Process(json.loads(text)["pid"])
        ran.terminate()
        assert ran.wait(60) != 0
    finally:
        ran.kill()
    server.wait(10)


def test_an_unknown_strategy_is_said_with_those_there_are(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match=r"'wrong' does not exist; there are: collaborative, .*popular"):
        simulation(tmp_path, ("wrong",))


def test_a_strategy_that_generates_needs_models(tmp_path: Path) -> None:
    files = tmp_path / "strategies"
    files.mkdir()
    (files / "loop.toml").write_text('[[sources]]\nkind = "popular"\n[generate]\nenabled = true\n')
    with pytest.raises(InvalidInputError, match="name the folder of its models"):
        simulation(tmp_path, ("loop",), strategy_files=files)
    with pytest.raises(NotFoundError, match="no folder of models"):
        simulation(tmp_path, ("loop",), strategy_files=files, models=tmp_path / "none")
    ready = simulation(tmp_path, ("loop", "content"), strategy_files=files, models=files)
    assert ready.generating == ["loop"]
    traces = {"loop": [Trace.empty(1)], "content": [Trace.empty(1)]}
    assert best_still(traces, ready.generating) == "content"


@pytest.mark.parametrize("options", [{"seeds": 0}, {"strategies": ()}, {"strategies": ("a", "a")}, {"past": -1}])
def test_options_without_a_meaning_are_refused(options: dict[str, object]) -> None:
    with pytest.raises(InvalidInputError, match="give"):
        SimulationOptions(**options)  # type: ignore[arg-type]
