from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from aigc.entities import Item, ItemContent
from aigc.errors import ConflictError, CorruptDataError, InvalidInputError, NotFoundError
from aigc.generate.repository import ModelRepository
from aigc.store.sql import open_store
from aigc.training.data_source import DataChoice
from aigc.training.recipe import KINDS
from aigc.training.run import TrainingRun
from aigc.training.run_spec import RunSpec
from tests.training.dots import TINY, dot_pictures, dot_store, store_url, tone


@pytest.fixture
def home(tmp_path: Path) -> Path:
    dot_store(tmp_path / "home").close()
    return tmp_path / "home"


def spec_of(home: Path, **options: str) -> RunSpec:
    given = TINY | {name.replace("__", "."): value for name, value in options.items()}
    return RunSpec.checked("gan", "dots", given, DataChoice(), ModelRepository(home / "models"))


def run_in(
    home: Path, folder: str, spec: RunSpec | None = None, stop: Callable[[], bool] | None = None
) -> tuple[TrainingRun, list[str]]:
    spec = (spec or spec_of(home)).resuming(home / folder)
    run = TrainingRun(
        home / folder,
        spec,
        ModelRepository(home / "models"),
        lambda: open_store(store_url(home), read_only=True),
        stop=stop,
    )
    return run, [p.event for p in run.train() if p.event]


def after(asked: int) -> Callable[[], bool]:
    """True from the given question on."""
    left = iter(range(asked))
    return lambda: next(left, None) is None


def weights(home: Path, model: str) -> Mapping[str, torch.Tensor]:
    name, version = model.split("@")
    return dict(load_file(home / "models" / name / version / "model.safetensors"))


def same(one: Mapping[str, torch.Tensor], other: Mapping[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[k], other[k]) for k in one)


def test_a_run_ends_with_a_model_that_knows_what_it_was_trained_on(home: Path) -> None:
    run, events = run_in(home, "run")
    assert run.made == "dots@1"
    assert events[0] == "learning from 40 images"
    repository = ModelRepository(home / "models")
    info = repository.get("dots")
    assert 0 <= info.measures["diversity"] <= 1
    assert (info.options["gan.channels"], info.options["trainer.steps"]) == ("16", "12")
    assert (info.data["source"], info.data["count"], info.data["run"]) == ("catalogue", 40, run.spec.id)
    assert {"samples.png", "curves.png", "model.safetensors", "config.json"} <= info.files.keys()
    assert repository.open(info).kind == "gan"
    assert not (home / "run" / "data").exists(), "the copy of the data is of no use any more"


def test_a_run_that_was_stopped_goes_on_to_the_same_weights_whatever_became_of_the_catalogue(home: Path) -> None:
    whole, _ = run_in(home, "whole")
    first, events = run_in(home, "parts", stop=after(4))
    assert first.stopped
    assert first.made == ""
    assert events[-1] == "stopped at step 5, to go on from there"
    store = open_store(store_url(home))
    store.delete_items([item.id for item in dot_pictures(20)])
    store.close()
    second, events = run_in(home, "parts")
    assert events == ["resumed at step 5"]
    assert same(weights(home, whole.made), weights(home, second.made))


SMALL: Mapping[str, Mapping[str, str]] = {
    "gan": {"gan.channels": "16", "gan.batch_size": "4"},
    "caption-gan": {"caption.networks.channels": "16,16", "caption.networks.batch_size": "4"},
    "vae": {"vae.channels": "8,8", "vae.batch_size": "4", "vae.components": "3"},
    "audio-vae": {"audio.network.channels": "8,8", "audio.network.batch_size": "4"},
    "bert": {
        "bert.vocabulary_size": "280",
        "bert.layers": "1",
        "bert.width": "16",
        "bert.heads": "1",
        "bert.context": "16",
        "text.batch_size": "2",
    },
    "gpt": {
        "gpt.vocabulary_size": "280",
        "gpt.layers": "1",
        "gpt.width": "16",
        "gpt.heads": "1",
        "gpt.context": "16",
        "text.batch_size": "2",
        "text.sample_tokens": "4",
    },
}


def test_every_kind_is_tried() -> None:
    assert SMALL.keys() == KINDS.keys()


@pytest.mark.parametrize("kind", sorted(SMALL))
def test_every_kind_goes_on_to_the_weights_of_the_uninterrupted_run(home: Path, kind: str) -> None:
    store = open_store(store_url(home))
    store.upsert_items([Item(f"text-{i}", text=f"a text of {i} words, or not") for i in range(12)])
    store.upsert_items(
        [Item(f"sound-{i}", kind="audio", content=ItemContent("audio/wav", tone(200 + 20 * i))) for i in range(12)]
    )
    store.close()
    options = {**SMALL[kind], "trainer.steps": "5", "trainer.warmup_steps": "0"}
    spec = RunSpec.checked(kind, "whole", options, DataChoice(), ModelRepository(home / "models"))
    whole, _ = run_in(home, "whole", spec)
    spec = RunSpec.checked(kind, "parts", options, DataChoice(), ModelRepository(home / "models"))
    assert run_in(home, "parts", spec, stop=after(1))[0].stopped
    parts, events = run_in(home, "parts", spec)
    assert events == ["resumed at step 2"]
    assert same(weights(home, whole.made), weights(home, parts.made))


def test_a_run_with_word_vectors_goes_on_alike_and_its_model_needs_the_file_no_longer(home: Path) -> None:
    path = home / "words.vec"
    path.write_text("3 2\ndot 1 0\n点 1 0.1\nround 0 1\n", encoding="utf-8")
    options = {**SMALL["caption-gan"], "trainer.steps": "5", "caption.word_vectors": str(path)}
    spec = RunSpec.checked("caption-gan", "whole", options, DataChoice(), ModelRepository(home / "models"))
    whole, _ = run_in(home, "whole", spec)
    spec = RunSpec.checked("caption-gan", "parts", options, DataChoice(), ModelRepository(home / "models"))
    assert run_in(home, "parts", spec, stop=after(1))[0].stopped
    parts, _ = run_in(home, "parts", spec)
    path.unlink()
    kept = weights(home, parts.made)
    assert same(weights(home, whole.made), kept)
    assert kept["words.vectors"].shape == (3, 2)


def test_a_finished_run_trains_no_more_and_makes_no_second_version(home: Path) -> None:
    run, _ = run_in(home, "run")
    again, events = run_in(home, "run")
    assert (again.made, events) == (run.made, [])
    # As after a kill between the adding of the model and the note of it.
    (home / "run" / "made.json").unlink()
    assert run_in(home, "run")[0].made == "dots@1"
    assert len(ModelRepository(home / "models").models()) == 1


def test_a_run_that_was_killed_before_its_model_was_added_adds_it(home: Path) -> None:
    run, _ = run_in(home, "run", stop=after(10))
    assert run.stopped
    again, events = run_in(home, "run")
    assert again.made == "dots@1"
    assert events == [
        "resumed at step 11",
    ]
    ModelRepository(home / "models").delete_alias("dots", "champion")
    ModelRepository(home / "models").delete("dots@1")
    (home / "run" / "made.json").unlink()
    assert run_in(home, "run")[0].made == "dots@1"


def test_another_training_in_the_folder_is_refused_with_what_differs(home: Path) -> None:
    run_in(home, "run", stop=after(2))
    with pytest.raises(ConflictError, match=r"gan\.batch_size was '4' and is '8'"):
        run_in(home, "run", spec_of(home, gan__batch_size="8"))
    changed = RunSpec.checked("gan", "dots", TINY, DataChoice(categories=("1",)), ModelRepository(home / "models"))
    with pytest.raises(ConflictError, match=r"data was .* and is"):
        run_in(home, "run", changed)
    run, _ = run_in(home, "run", spec_of(home, trainer__log_every="3", trainer__checkpoint_every="5"))
    assert run.made, "what is only told or kept may change"


def test_data_in_a_file_that_changed_meanwhile_are_refused(home: Path) -> None:
    pictures = home / "pictures"
    pictures.mkdir()
    for item in dot_pictures(12):
        assert item.content is not None
        (pictures / f"{item.id}.png").write_bytes(item.content.data)
    spec = RunSpec.checked("gan", "dots", TINY, DataChoice(str(pictures)), ModelRepository(home / "models"))
    run_in(home, "run", spec, stop=after(2))
    (pictures / "dot-000.png").unlink()
    with pytest.raises(ConflictError, match="holds a run with another"):
        run_in(home, "run", spec)


def test_a_model_to_begin_from_is_settled_when_it_is_asked_for(home: Path, tmp_path: Path) -> None:
    text = tmp_path / "text.txt"
    text.write_text("the quick brown fox jumps over the lazy dog. " * 40)
    repository = ModelRepository(home / "models")
    tiny = {
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
    choice = DataChoice(str(text))
    with pytest.raises(NotFoundError, match=r"options\[gpt\.base\] 'fox' does not exist"):
        RunSpec.checked("gpt", "fox", tiny | {"gpt.base": "fox"}, choice, repository)
    assert run_in(home, "one", RunSpec.checked("gpt", "fox", tiny, choice, repository))[0].made == "fox@1"
    spec = RunSpec.checked("gpt", "fox", tiny | {"gpt.base": "fox"}, choice, repository)
    assert spec.options["gpt.base"] == "fox@1"
    run, _ = run_in(home, "two", spec)
    assert run.made == "fox@2"
    assert not same(weights(home, "fox@1"), weights(home, "fox@2"))
    run_in(home, "dots")
    with pytest.raises(InvalidInputError, match=r"gpt\.base is 'dots', a gan; give the name of a gpt"):
        RunSpec.checked("gpt", "fox", tiny | {"gpt.base": "dots"}, choice, repository)


def test_a_damaged_run_file_is_refused_by_name(home: Path) -> None:
    spec_of(home).write(home / "run")
    path = home / "run" / "run.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"format": 9}))
    with pytest.raises(CorruptDataError, match=r"run\.json is of another format"):
        RunSpec.read(home / "run")
    path.write_text('{"format": 1, "kind": "gan"}')
    with pytest.raises(CorruptDataError, match=r"run\.json describes no run"):
        RunSpec.read(home / "run")


@pytest.mark.parametrize("name", ["", "Digits", "../x", "a" * 65])
def test_a_name_that_is_none_is_refused_before_anything_is_read(home: Path, name: str) -> None:
    with pytest.raises(InvalidInputError, match="model is"):
        RunSpec.checked("gan", name, {}, DataChoice(), ModelRepository(home / "models"))
