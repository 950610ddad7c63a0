from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from aigc.errors import ConflictError, CorruptDataError, InvalidInputError
from aigc.generate.task import Phase
from aigc.training.checkpoint import Checkpoints
from aigc.training.guards import TrainingFailedError
from aigc.training.options import TrainerOptions
from aigc.training.schedule import rate_at
from aigc.training.trainer import Trainer, TrainingProgress
from tests.training.line_task import LineTask


def run(folder: Path, task: LineTask | None = None, **options: object) -> tuple[Trainer, list[TrainingProgress]]:
    trainer = Trainer(task or LineTask(), TrainerOptions(**{"steps": 60, "checkpoint_every": 10} | options), folder)  # type: ignore[arg-type]
    return trainer, list(trainer.train())


def weights(trainer: Trainer) -> list[torch.Tensor]:
    return [
        p.detach().clone() for m in (*trainer.modules.values(), *trainer.final_modules.values()) for p in m.parameters()
    ]


def same(a: list[torch.Tensor], b: list[torch.Tensor]) -> bool:
    return all(torch.equal(x, y) for x, y in zip(a, b, strict=True))


def test_a_run_learns_and_leaves_measures_curves_and_sheets(tmp_path: Path) -> None:
    _, reports = run(tmp_path, steps=400, validate_every=20)
    errors = [r.measures["error"] for r in reports if r.measures]
    assert errors[-1] < 0.05 < errors[0]
    assert (tmp_path / "curves.png").stat().st_size > 1000
    assert (tmp_path / "samples" / "000000400.txt").read_text() == "a line"
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert {line["kind"] for line in lines} == {"train", "validation"}
    assert [line["step"] for line in lines if line["kind"] == "train"] == list(range(10, 401, 10))


def test_a_resumed_run_ends_with_the_bits_of_the_uninterrupted_one(tmp_path: Path) -> None:
    whole, _ = run(tmp_path / "whole")
    parts = Trainer(LineTask(), TrainerOptions(steps=60, checkpoint_every=10), tmp_path / "parts")
    for report in parts.train():
        if report.step >= 30:
            break
    resumed, reports = run(tmp_path / "parts")
    assert "resumed at step 20" in reports[0].event
    assert same(weights(whole), weights(resumed))
    assert load_file(tmp_path / "whole/checkpoints/000000060/optimizers.safetensors").keys()
    steps = [json.loads(line)["step"] for line in (tmp_path / "parts/metrics.jsonl").read_text().splitlines()]
    assert steps == [10, 20, 20, 30, 40, 50, 60, 60]


def test_momentum_comes_back_to_its_own_weight_whatever_the_order_in_memory(tmp_path: Path) -> None:
    class Pixels(LineTask):
        """A pixel-major convolution under a fused optimiser, which pairs values by their place in memory."""

        averaged = ("convolution",)

        def __init__(self) -> None:
            super().__init__()
            torch.manual_seed(1)
            self.modules = {"convolution": torch.nn.Conv2d(8, 8, 3).to(memory_format=torch.channels_last)}

        def optimizers(self):  # type: ignore[no-untyped-def]
            return {"adam": torch.optim.AdamW(self.modules["convolution"].parameters(), lr=0.01, fused=True)}

        def phases(self, context):  # type: ignore[no-untyped-def]
            x = context.normal(2, 8, 5, 5).to(memory_format=torch.channels_last)
            yield Phase("adam", self.modules["convolution"](x).square().mean())

        def validate(self, modules):  # type: ignore[no-untyped-def]
            return {}

    whole, _ = run(tmp_path / "whole", Pixels(), steps=8, checkpoint_every=4)
    run(tmp_path / "parts", Pixels(), steps=8, checkpoint_every=4)
    shutil.rmtree(tmp_path / "parts" / "checkpoints" / "000000008")
    resumed, reports = run(tmp_path / "parts", Pixels(), steps=8, checkpoint_every=4)
    assert "resumed at step 4" in reports[0].event
    assert same(weights(whole), weights(resumed))


def test_a_run_killed_at_any_moment_goes_on_to_the_same_weights(tmp_path: Path) -> None:
    kill_and_compare(tmp_path, kills=2)


def kill_and_compare(folder: Path, kills: int) -> None:
    """SIGKILL a training process between and during checkpoints (it writes one each step), ``kills`` times."""

    def command(name: str) -> list[str]:
        return [sys.executable, "-m", "tests.training.run_line", str(folder / name), str(20 * (kills + 1)), "1"]

    subprocess.run(command("whole"), check=True, capture_output=True)
    for round_ in range(kills):
        process = subprocess.Popen(command("killed"), stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        process.stdout.readline()
        # By the next report a checkpoint has begun; where in it the signal falls is the scheduler's choice.
        for _ in range(round_ % 3):
            process.stdout.readline()
        os.kill(process.pid, signal.SIGKILL)
        process.stdout.close()
        process.wait()
    subprocess.run(command("killed"), check=True, capture_output=True)
    last = f"checkpoints/{20 * (kills + 1):09d}"
    for name in ("weights", "averages", "optimizers"):
        one, other = (load_file(folder / run / last / f"{name}.safetensors") for run in ("whole", "killed"))
        assert one.keys() == other.keys()
        assert all(torch.equal(one[key], other[key]) for key in one)


def test_two_processes_reach_the_loss_of_one_at_the_same_batch(tmp_path: Path) -> None:
    module = ["-m", "tests.training.run_line"]
    alone = subprocess.run(
        [sys.executable, *module, str(tmp_path / "one"), "30"], check=True, capture_output=True, text=True
    )
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node=2", "--standalone"]
    both = subprocess.run(
        [*torchrun, *module, str(tmp_path / "two"), "30"],
        check=False,
        capture_output=True,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )

    assert both.returncode == 0, both.stderr[-3000:]

    def last(text: str) -> float:
        return float(text.strip().splitlines()[-1].split()[1])

    # Dropout differs from process to process, so the paths agree without being the same.
    assert last(both.stdout) == pytest.approx(last(alone.stdout), rel=0.15)


def test_a_loss_that_is_not_finite_goes_back_to_the_last_good_state(tmp_path: Path) -> None:
    trainer, reports = run(tmp_path, LineTask(break_at=25))
    events = [r.event for r in reports if r.event]
    assert len(events) == 1
    assert "not finite" in events[0]
    assert "back to step 20" in events[0]
    assert trainer.state.step == 60
    assert all(torch.isfinite(w).all() for w in weights(trainer))


def test_a_collapse_goes_back_and_a_second_one_ends_the_run(tmp_path: Path) -> None:
    _, reports = run(tmp_path / "once", LineTask(collapse_at=3), validate_every=10)
    assert any("the model collapsed" in r.event for r in reports)

    class Always(LineTask):
        def validate(self, modules):  # type: ignore[no-untyped-def]
            self.validations += 1
            return {"diversity": 1.0 if self.validations == 1 else 0.0}

    with pytest.raises(TrainingFailedError, match="after 1 rollbacks"):
        run(tmp_path / "always", Always(), validate_every=10, max_rollbacks=1)


def test_a_run_that_gets_no_better_converges_and_keeps_the_best(tmp_path: Path) -> None:
    class Worsening(LineTask):
        def validate(self, modules):  # type: ignore[no-untyped-def]
            self.validations += 1
            return {"error": abs(self.validations - 2.0)}

    trainer, reports = run(tmp_path, Worsening(), validate_every=10, target="error", patience=2)
    assert "converged" in reports[-1].event
    assert trainer.state.step == 20
    with pytest.raises(InvalidInputError, match="measured by error"):
        run(tmp_path / "unknown", Worsening(), validate_every=10, target="loss")


def test_a_run_ends_when_its_time_is_over(tmp_path: Path) -> None:
    now = iter(range(10_000))
    trainer = Trainer(LineTask(), TrainerOptions(steps=60, max_seconds=15), tmp_path, clock=lambda: float(next(now)))
    reports = list(trainer.train())
    assert "max_seconds" in reports[-1].event
    assert trainer.state.step < 60


@pytest.mark.parametrize("damage", ["truncated", "flipped", "missing", "pickled", "newer", "no manifest"])
def test_a_damaged_checkpoint_is_refused_by_name(tmp_path: Path, damage: str) -> None:
    run(tmp_path)
    folder = tmp_path / "checkpoints" / "000000060"
    victim = folder / "weights.safetensors"
    manifest = folder / "manifest.json"
    if damage == "truncated":
        victim.write_bytes(victim.read_bytes()[:-5])
    elif damage == "flipped":
        data = bytearray(victim.read_bytes())
        data[-1] ^= 1
        victim.write_bytes(bytes(data))
    elif damage == "missing":
        victim.unlink()
    elif damage == "pickled":
        torch.save({"line/0.weight": torch.zeros(1)}, victim)
    elif damage == "newer":
        manifest.write_text(manifest.read_text().replace('"format": 1', '"format": 9'))
    else:
        manifest.unlink()
    named = victim.name if damage in ("truncated", "flipped", "missing", "pickled") else manifest.name
    with pytest.raises(CorruptDataError, match=named):
        run(tmp_path, steps=60)
    shutil.rmtree(folder)
    _, reports = run(tmp_path)
    assert "resumed at step 50" in reports[0].event


def test_a_pickle_whose_checksum_was_forged_is_still_refused(tmp_path: Path) -> None:
    run(tmp_path)
    checkpoints = Checkpoints(tmp_path / "checkpoints")
    folder = tmp_path / "checkpoints" / "000000060"
    victim = folder / "weights.safetensors"
    torch.save({"line/0.weight": torch.zeros(1)}, victim)
    manifest = json.loads((folder / "manifest.json").read_text())
    import hashlib

    manifest["files"][victim.name] = {
        "bytes": victim.stat().st_size,
        "sha256": hashlib.sha256(victim.read_bytes()).hexdigest(),
    }
    (folder / "manifest.json").write_text(json.dumps(manifest))
    task = LineTask()
    with pytest.raises(CorruptDataError, match="no safetensors file"):
        checkpoints.restore(60, task.modules, {}, task.optimizers())


def test_another_run_in_the_folder_is_not_overwritten(tmp_path: Path) -> None:
    run(tmp_path)
    with pytest.raises(ConflictError, match="seed"):
        run(tmp_path, seed=5)


def test_a_half_written_checkpoint_is_no_checkpoint(tmp_path: Path) -> None:
    run(tmp_path, steps=20)
    (tmp_path / "checkpoints" / ".partial-000000030").mkdir()
    assert Checkpoints(tmp_path / "checkpoints").steps() == [10, 20]


@pytest.mark.parametrize(
    ("field", "value"),
    [("steps", 0), ("schedule", "square"), ("precision", "int4"), ("average_decay", 1.0), ("clip_norm", float("nan"))],
)
def test_options_without_a_meaning_are_refused_by_name(field: str, value: object) -> None:
    with pytest.raises(InvalidInputError, match=f"trainer.{field}"):
        TrainerOptions(**{field: value})  # type: ignore[arg-type]


def test_schedules_start_low_reach_the_peak_and_end_where_they_should() -> None:
    for schedule in ("linear", "cosine", "trapezoid"):
        options = TrainerOptions(steps=100, warmup_steps=10, schedule=schedule, final_rate=0.1)
        rates = [rate_at(step, options) for step in range(101)]
        assert rates[0] < 0.1
        assert max(rates) == 1.0
        assert rates[100] == pytest.approx(0.1)
