"""The same training by Ray workers, of which one is killed."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import signal
import subprocess
import sys
import time
import types
from pathlib import Path
from typing import Any

import pytest

from aigc.errors import AigcError, InvalidInputError
from aigc.generate.repository import ModelRepository
from aigc.training.data_source import DataChoice
from aigc.training.run_spec import RunSpec
from aigc_server.ray.foreman import Foreman
from aigc_server.ray.training import Order, WorkerOptions, _work
from tests.ray_nodes import ENVIRONMENT, cluster
from tests.training.dots import TINY, dot_store, store_url


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="needs the extra ray (pip install 'aigc[ray]')")
def test_workers_of_which_one_is_killed_end_with_the_weights_of_torchrun(tmp_path: Path) -> None:
    options = TINY | {"trainer.steps": "120", "trainer.log_every": "4"}
    given = [part for name, value in options.items() for part in ("--set", f"{name}={value}")]
    homes = {name: tmp_path / name for name in ("torchrun", "ray")}
    commands = {}
    for name, home in homes.items():
        dot_store(home).close()
        module = ["-m", "aigc_server.cli", "generator", "train", "gan", "--name", "dots", "--home", str(home)]
        commands[name] = [*module, "--threads", "1", *given]
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node=2", "--standalone"]
    environment = os.environ | ENVIRONMENT
    # Both take seconds to begin with.
    baseline = subprocess.Popen(
        [*torchrun, *commands["torchrun"]], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment
    )
    lines, log = homes["ray"] / "runs/dots/1/metrics.jsonl", tmp_path / "log"
    with cluster(tmp_path) as nodes:
        node = nodes.add(cpus=2)
        workers = ["--ray-workers", "2", "--ray-address", nodes.address]
        with log.open("wb") as out:
            process = subprocess.Popen(
                [sys.executable, *commands["ray"], *workers], stdout=out, stderr=out, env=environment
            )
        try:
            until = time.monotonic() + 90
            while not (lines.exists() and '"step": 20' in lines.read_text()):
                assert process.poll() is None and time.monotonic() < until, log.read_text()[-3000:]  # noqa: PT018
                time.sleep(0.02)
            found = [pid for pid, title in node.titles().items() if "RayTrainWorker" in title]
            assert len(found) == 2
            os.kill(found[-1], signal.SIGKILL)
            assert process.wait(120) == 0, log.read_text()[-3000:]
            assert baseline.wait(60) == 0
        finally:
            for each in (process, baseline):
                each.kill()
                each.wait()
    assert "workers were lost and are replaced (1)" in log.read_text()
    assert "resumed at step" in lines.read_text()
    files = [home / "models/dots/1/model.safetensors" for home in homes.values()]
    assert len({hashlib.sha256(file.read_bytes()).hexdigest() for file in files}) == 1
    assert not (homes["ray"] / "runs/dots/1/ray").exists()


class Here:
    """An actor's handle whose actor is here."""

    def __init__(self, actor: Any) -> None:
        self._actor = actor

    def __getattr__(self, name: str) -> Any:
        return types.SimpleNamespace(remote=getattr(self._actor, name))


def test_a_mistake_is_not_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The workers that Ray starts after one failed over the data hear of it, and end in peace."""
    monkeypatch.setitem(sys.modules, "ray", types.SimpleNamespace(get=lambda value: value))
    monkeypatch.chdir(tmp_path)
    dot_store(tmp_path, count=1).close()
    models = tmp_path / "models"
    spec = RunSpec.checked("gan", "dots", TINY, DataChoice(), ModelRepository(models))
    foreman = Foreman()
    told = {
        "order": Order(tmp_path / "run", spec, models, store_url(tmp_path), {"like": 1.0}),
        "foreman": Here(foreman),
    }
    with pytest.raises(AigcError) as error:
        _work(told)
    failure = foreman.failure()
    assert failure is not None
    assert failure.message == error.value.message
    assert _work(told) == ("", False)
    assert foreman.starts() == 2


def test_a_foreman_passes_on_what_is_said_once() -> None:
    foreman = Foreman()
    foreman.say({"step": 1})
    foreman.say({"step": 2})
    assert foreman.hear() == [{"step": 1}, {"step": 2}]
    assert foreman.hear() == []
    assert not foreman.stopping()
    foreman.stop()
    assert foreman.stopping()


@pytest.mark.parametrize("wrong", [{"workers": 0}, {"cpus": 0.0}, {"failures": -1}])
def test_workers_without_a_meaning_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidInputError) as error:
        WorkerOptions(**wrong)
    assert error.value.field == next(iter(wrong))
