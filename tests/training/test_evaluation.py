"""Versions are measured on the same held-out pictures, and the measures stay with them."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from aigc.errors import AigcError, InvalidInputError, NotFoundError
from aigc.generate.gan_generator import GanGenerator
from aigc.generate.gan_task import GanTask
from aigc.generate.repository import ModelRepository
from aigc.store.sql import open_store
from aigc.training.data_source import DataChoice
from aigc.training.evaluation import evaluate_models
from aigc_server.cli import cli
from tests.generate.test_gan import small, strokes
from tests.generate.test_repository import Stone
from tests.training.dots import dot_store, store_url


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """1,100 grey pictures of which a part is held out, and two versions that were never measured."""
    home = tmp_path_factory.mktemp("evaluation") / "home"
    dot_store(home, 1100).close()
    repository = ModelRepository(home / "models")
    for seed in (0, 1):
        task = GanTask(strokes(20, 0), strokes(10, 1), small(seed=seed))
        repository.add("dots", GanGenerator.from_task(task, task.modules), options={"data.held_out": "0.2"})
    repository.add("stones", Stone())
    return home


def test_versions_are_measured_on_the_same_pictures_by_the_command(home: Path) -> None:
    result = CliRunner().invoke(cli, ["generator", "evaluate", "dots@1", "dots@2", "--home", str(home)])
    assert not isinstance(result.exception, AigcError), result.exception
    lines = result.output.splitlines()
    assert [line.partition("  ")[0] for line in lines] == ["dots@1", "dots@2"]
    assert all("frechet" in line for line in lines)
    measured = [ModelRepository(home / "models").get(f"dots@{v}").measures for v in (1, 2)]
    names = {"frechet", "precision", "recall", "coverage", "copies"}
    assert all(names | {f"{name}_error" for name in names} == m.keys() for m in measured)


@pytest.mark.parametrize(
    ("models", "choice", "error", "words"),
    [
        (["dots@7"], DataChoice(), NotFoundError, "dots"),
        (["dots", "stones"], DataChoice(), InvalidInputError, "within one kind"),
        (["stones"], DataChoice(), InvalidInputError, "stone"),
        ([], DataChoice(), InvalidInputError, "none"),
        (["dots"], DataChoice(categories=("9",)), AigcError, "category 9"),
    ],
)
def test_what_cannot_be_measured_is_named(
    home: Path, models: list[str], choice: DataChoice, error: type[AigcError], words: str
) -> None:
    repository = ModelRepository(home / "models")
    with pytest.raises(error, match=words):
        list(evaluate_models(repository, models, choice, lambda: open_store(store_url(home), read_only=True)))
