"""``aigc generator``: what a person types and reads."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from PIL import Image
from safetensors.torch import load_file

from aigc.errors import AigcError, ConflictError, InvalidInputError, NotFoundError, UnavailableError
from aigc_server.cli import cli
from tests.training.dots import TINY, dot_pictures, dot_store

Run = Callable[..., Result]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory with a catalogue of pictures and one trained model, dots@1."""
    home = tmp_path_factory.mktemp("generators") / "home"
    dot_store(home).close()
    trained = train(home, "dots")
    assert "made dots@1" in trained.output
    return home


def run(home: Path, *words: str) -> Result:
    result = CliRunner().invoke(cli, ["generator", *words, "--home", str(home)])
    if isinstance(result.exception, AigcError):
        raise result.exception
    return result


def train(home: Path, name: str, *words: str, **options: str) -> Result:
    given = TINY | {key.replace("__", "."): value for key, value in options.items()}
    sets = [part for option in given.items() for part in ("--set", "=".join(option))]
    return run(home, "train", "gan", "--name", name, "--threads", "1", *sets, *words)


def test_help_shows_commands_line_by_line() -> None:
    text = CliRunner().invoke(cli, ["generator", "train", "--help"]).output
    assert "\n    aigc generator train gan --name digits --data mnist/ --set trainer.steps=2000\n" in text
    assert "\\b" not in text


def test_recipes_are_listed_and_one_shows_its_options() -> None:
    listed = CliRunner().invoke(cli, ["generator", "recipes"]).output
    assert all(kind in listed for kind in ("gan", "caption-gan", "vae", "gpt"))
    shown = CliRunner().invoke(cli, ["generator", "recipes", "gan"]).output
    assert "trainer.steps" in shown
    assert "Optimisation steps in all." in shown
    told = json.loads(CliRunner().invoke(cli, ["generator", "recipes", "gan", "--json"]).output)
    assert {o["name"] for o in told[0]["options"]} >= {"gan.preset", "data.size", "trainer.seed"}


def test_a_training_says_where_its_results_are_and_the_next_one_makes_a_new_version(home: Path) -> None:
    result = train(home, "twice")
    for told in ("learning from 40 images", "made twice@1", "diversity", "curves.png", "000000012.png"):
        assert told in result.output
    assert (home / "runs" / "twice" / "1" / "curves.png").exists()
    assert "made twice@2" in train(home, "twice", trainer__seed="3").output
    assert (home / "runs" / "twice" / "2" / "made.json").exists()


def test_the_same_command_goes_on_and_another_one_begins_anew(home: Path) -> None:
    train(home, "same", "--folder", str(home / "runs" / "same" / "1"), gan__batch_size="2")
    (home / "runs" / "same" / "1" / "made.json").unlink()
    assert "runs/same/2" in train(home, "same").output
    assert "runs/same/1" in train(home, "same", gan__batch_size="2").output


def test_a_training_that_was_killed_goes_on_when_it_is_called_again(home: Path) -> None:
    folder = home / "killed"
    train(home, "killed", "--folder", str(folder))
    # As it would be after a kill between the checkpoint of step 8 and the next one.
    for path in (folder / "checkpoints" / "000000012", home / "models" / "killed"):
        subprocess.run(["rm", "-r", str(path)], check=True)
    (folder / "made.json").unlink()
    assert "resumed at step 8" in train(home, "killed", "--folder", str(folder)).output
    with pytest.raises(ConflictError, match=r"gan\.batch_size was '4' and is '8'"):
        train(home, "killed", "--folder", str(folder), gan__batch_size="8")


@pytest.mark.parametrize(
    ("words", "error", "message"),
    [
        (("--set", "trainer.stps=3"), InvalidInputError, r"did you mean trainer\.steps\?"),
        (("--set", "trainer.steps"), InvalidInputError, "give NAME=VALUE"),
        (("--category", "none"), InvalidInputError, "has no pictures"),
        (("--data", "/nowhere"), NotFoundError, "/nowhere does not exist"),
    ],
)
def test_a_mistake_is_told_in_one_sentence(home: Path, words: tuple[str, ...], error: type, message: str) -> None:
    with pytest.raises(error, match=message):
        train(home, "wrong", *words)
    assert not (home / "runs" / "wrong" / "1" / "run.json").exists(), "the folder is free for another attempt"


def test_models_are_listed_shown_named_and_removed(home: Path) -> None:
    train(home, "named")
    train(home, "named", trainer__seed="1")
    listed = json.loads(run(home, "list", "--json").output)
    assert {"named@1", "named@2", "dots@1"} <= {m["id"] for m in listed}
    shown = run(home, "show", "named").output
    for told in ("named@1  gan", "aliases   champion", "trainer.steps = 12", "source = catalogue", "diversity ="):
        assert told in shown
    assert "named@best is named@2" in run(home, "alias", "named@2", "best").output
    assert "named@2  gan" in run(home, "show", "named@best").output
    with pytest.raises(ConflictError, match="best"):
        run(home, "delete", "named@2")
    assert "named@best means nothing" in run(home, "alias", "named", "best", "--delete").output
    assert "removed named@2" in run(home, "delete", "named@2").output
    with pytest.raises(NotFoundError, match="no version or alias '2'"):
        run(home, "show", "named@2")


def test_pictures_are_sampled_onto_a_sheet_the_same_ones_for_the_same_seed(home: Path, tmp_path: Path) -> None:
    sheets = [tmp_path / f"{i}.png" for i in range(3)]
    for path, seed in zip(sheets, ("0", "0", "7"), strict=True):
        run(home, "sample", "dots", "--n", "5", "--class", "2", "--seed", seed, "--out", str(path))
    with Image.open(sheets[0]) as sheet:
        assert sheet.size[0] > 3 * 8
    assert sheets[0].read_bytes() == sheets[1].read_bytes() != sheets[2].read_bytes()
    with pytest.raises(InvalidInputError, match="class"):
        run(home, "sample", "dots", "--class", "none", "--out", str(sheets[0]))


def test_texts_are_sampled_to_standard_output(home: Path, tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_text("abab " * 100)
    sets = {
        "gpt.tokenizer": "characters",
        "gpt.layers": "1",
        "gpt.width": "16",
        "gpt.heads": "1",
        "gpt.context": "16",
        "text.batch_size": "2",
        "text.sample_tokens": "4",
        "text.validation_tokens": "64",
        "trainer.steps": "2",
    }
    given = [part for option in sets.items() for part in ("--set", "=".join(option))]
    words = ("--name", "ab", "--data", str(tmp_path / "text.txt"), "--threads", "1")
    assert "made ab@1" in run(home, "train", "gpt", *words, *given).output
    sampled = run(home, "sample", "ab", "--n", "2", "--prompt", "ab", "--max-tokens", "5").output
    assert sampled.count("ab") >= 2
    assert sampled.count("----") == 2


def test_jobs_need_a_server_and_say_how_to_start_one(home: Path) -> None:
    with pytest.raises(UnavailableError, match="start one with `aigc serve`"):
        run(home, "jobs")


def test_two_processes_train_together_and_keep_one_model(tmp_path: Path) -> None:
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    for item in dot_pictures(20):
        assert item.content is not None
        (pictures / f"{item.id}.png").write_bytes(item.content.data)
    given = [part for option in TINY.items() for part in ("--set", "=".join(option))]
    command = ["-m", "aigc_server.cli", "generator", "train", "gan", "--home", str(tmp_path), "--data", str(pictures)]
    launchers = {
        "one": [sys.executable],
        "two": [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node=2", "--standalone"],
    }
    for name, launcher in launchers.items():
        done = subprocess.run(
            [*launcher, *command, "--name", name, "--threads", "1", *given],
            capture_output=True,
            text=True,
            check=False,
            env=os.environ | {"OMP_NUM_THREADS": "1"},
        )
        assert done.returncode == 0, done.stderr[-3000:]
        assert done.stdout.count(f"made {name}@1") == 1
    one, two = (load_file(tmp_path / "models" / name / "1" / "model.safetensors") for name in launchers)
    assert one.keys() == two.keys()
    # The same draws, summed in another order.
    for key, value in one.items():
        if key.startswith("generator."):
            assert float((value - two[key]).abs().max()) < 1e-3, key
