from __future__ import annotations

import json
from pathlib import Path
from typing import ClassVar

import pytest

from aigc.errors import ConflictError, CorruptDataError, InvalidInputError, NotFoundError
from aigc.generate.repository import ModelRepository


class Stone:
    """A generator that generates nothing, but is saved as one."""

    kind = "stone"
    described: ClassVar = {"parameters": 0}

    def save(self, folder: Path) -> None:
        (folder / "config.json").write_text(json.dumps({"kind": self.kind}))


@pytest.fixture
def repository(tmp_path: Path) -> ModelRepository:
    made = ModelRepository(tmp_path / "models")
    for _ in range(3):
        made.add("digits", Stone(), measures={"fid": 1.5})
    return made


def test_versions_rise_and_the_first_is_champion(repository: ModelRepository) -> None:
    assert [m.id for m in repository.models()] == ["digits@1", "digits@2", "digits@3"]
    assert repository.get("digits").version == 1
    repository.set_alias("digits@3", "champion")
    assert repository.get("digits").aliases == ("champion",)
    assert repository.get("digits@champion").version == 3
    repository.delete_alias("digits", "champion")
    assert repository.get("digits").version == 3
    assert repository.get("digits@2").measures == {"fid": 1.5}


def test_what_an_alias_means_cannot_be_deleted(repository: ModelRepository) -> None:
    with pytest.raises(ConflictError, match="champion"):
        repository.delete("digits@1")
    repository.delete("digits@2")
    assert [m.version for m in repository.models()] == [1, 3]
    assert repository.add("digits", Stone()).version == 4


@pytest.mark.parametrize("name", ["../x", "a/b", "", "Ä", ".hidden", "x" * 80, "a\n"])
def test_no_path_hides_in_a_name(repository: ModelRepository, name: str) -> None:
    with pytest.raises(InvalidInputError, match="model is"):
        repository.get(name)
    with pytest.raises(InvalidInputError, match="name is"):
        repository.add(name, Stone())


def test_what_is_not_there_is_named_with_what_is(repository: ModelRepository) -> None:
    with pytest.raises(NotFoundError, match="there are: digits"):
        repository.get("faces")
    with pytest.raises(NotFoundError, match="1, 2, 3, champion"):
        repository.get("digits@9")
    with pytest.raises(NotFoundError, match="best"):
        repository.get("digits@best")
    with pytest.raises(InvalidInputError, match="reads as a version"):
        repository.set_alias("digits@1", "7")


def test_a_damaged_model_is_refused_by_the_name_of_its_file(repository: ModelRepository) -> None:
    info = repository.get("digits@2")
    (repository.folder(info) / "config.json").write_text("{}")
    with pytest.raises(CorruptDataError, match=r"config\.json"):
        repository.open(info)
    (repository.folder(info) / "manifest.json").write_text("[")
    assert [m.version for m in repository.models()] == [1, 3]
    with pytest.raises(CorruptDataError, match=r"manifest\.json"):
        repository.get("digits@2")


def test_a_kind_of_the_future_is_refused(repository: ModelRepository) -> None:
    with pytest.raises(CorruptDataError, match="upgrade aigc"):
        repository.open(repository.get("digits"))


def test_what_an_evaluation_measured_stands_before_what_the_training_did(repository: ModelRepository) -> None:
    noted = repository.note_measures("digits@2", {"fid": 1.2, "recall": 0.5})
    assert noted.measures == {"fid": 1.2, "recall": 0.5}
    repository.note_measures("digits@2", {"recall": 0.6})
    assert ModelRepository(repository.root).get("digits@2").measures == {"fid": 1.2, "recall": 0.6}
    assert repository.get("digits@1").measures == {"fid": 1.5}
    with pytest.raises(NotFoundError):
        repository.note_measures("digits@9", {})
    assert [m.version for m in repository.models()] == [1, 2, 3]
