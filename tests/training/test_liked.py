"""Fine-tuning sets from what was liked, and going on with a trained model."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner
from safetensors.torch import load_file

from aigc.entities import Event, Item
from aigc.errors import InvalidInputError, NotFoundError
from aigc.generate.repository import ModelRepository
from aigc.profiles.weights import EventWeights
from aigc.store.sql import SqlStore, open_store
from aigc.training.data_source import DataChoice
from aigc.training.liked import Liked, find_liked
from aigc.training.run import TrainingRun
from aigc.training.run_spec import RunSpec
from aigc.v1 import training_service_pb2
from aigc_server.cli import cli
from aigc_server.cli.generator_recipes import parse_liked
from aigc_server.converters.job import training_from_proto
from tests.training.dots import TINY, dot_pictures, store_url

DAY_MS = 86_400_000
START_MS = 1_760_000_000_000


def liked_store(home: Path, changed: Mapping[str, Item] | None = None) -> SqlStore:
    """Forty pictures, of which everyone likes the first twenty."""
    home.mkdir(parents=True, exist_ok=True)
    store = open_store(store_url(home))
    items = [(changed or {}).get(i.id, i) for i in dot_pictures(40)]
    store.upsert_items(items)
    events(store, "ann", [i.id for i in items[:20]])
    events(store, "bob", [i.id for i in items[:12]])
    return store


def events(store: SqlStore, user: str, items: Sequence[str], event_type: str = "like", day: int = 0) -> None:
    now = START_MS + day * DAY_MS
    store.record_events([Event(f"{user}-{i}-{event_type}-{day}", user, i, event_type, now) for i in items])


def run_of(home: Path, folder: str, liked: Liked | None, *, generated: bool = False, **more: str) -> TrainingRun:
    repository = ModelRepository(home / "models")
    from_model = more.pop("from_model", "")
    options = {**TINY, **{k.replace("__", "."): v for k, v in more.items()}}
    choice = DataChoice(include_generated=generated, liked=liked)
    spec = RunSpec.checked("gan", "dots", options, choice, repository, from_model=from_model)
    run = TrainingRun(home / folder, spec, repository, lambda: open_store(store_url(home), read_only=True))
    for _ in run.train():
        pass
    return run


def the_set(home: Path, folder: str) -> dict[str, dict[str, float]]:
    return dict(json.loads((home / folder / "liked.json").read_text())["items"])


def weights_of(home: Path, model: str) -> Mapping[str, torch.Tensor]:
    return dict(load_file(home / "models" / model.replace("@", "/") / "model.safetensors"))


def test_the_set_is_what_enough_users_like_and_its_origin_stays_with_the_model(tmp_path: Path) -> None:
    liked_store(tmp_path).close()
    run = run_of(tmp_path, "a", Liked(users=2))
    found = the_set(tmp_path, "a")
    assert list(found) == [f"dot-{i:03d}" for i in range(12)]
    assert found["dot-000"] == {"users": 2, "weight": 1.6}
    info = ModelRepository(tmp_path / "models").get(run.made)
    assert info.data["liked"] == {"users": 2, "days": 0.0, "user_ids": []}
    assert info.data["count"] == 12
    assert "liked.json" in info.files


def test_the_same_set_twice_is_the_same_bytes(tmp_path: Path) -> None:
    liked_store(tmp_path).close()
    one, other = run_of(tmp_path, "a", Liked()), run_of(tmp_path, "b", Liked())
    assert (tmp_path / "a" / "liked.json").read_bytes() == (tmp_path / "b" / "liked.json").read_bytes()
    assert all(torch.equal(v, weights_of(tmp_path, other.made)[k]) for k, v in weights_of(tmp_path, one.made).items())


def test_generated_liked_items_are_in_only_when_asked_for_and_hidden_or_deleted_ones_never(tmp_path: Path) -> None:
    pictures = {i.id: i for i in dot_pictures(40)}
    changed = {
        "dot-000": replace(pictures["dot-000"], generated=True),
        "dot-001": replace(pictures["dot-001"], hidden=True),
    }
    store = liked_store(tmp_path, changed)
    store.delete_items(["dot-002"])
    store.close()
    run_of(tmp_path, "without", Liked())
    assert not {"dot-000", "dot-001", "dot-002"} & the_set(tmp_path, "without").keys()
    run_of(tmp_path, "with", Liked(), generated=True)
    assert the_set(tmp_path, "with").keys() - the_set(tmp_path, "without").keys() == {"dot-000"}


def test_a_set_too_small_says_how_many_there_are_and_what_to_do(tmp_path: Path) -> None:
    store = liked_store(tmp_path)
    events(store, "cat", [f"dot-{i:03d}" for i in range(3)])
    store.close()
    with pytest.raises(InvalidInputError) as caught:
        run_of(tmp_path, "a", Liked(users=3))
    assert caught.value.reason == "TOO_LITTLE_DATA"
    assert "liked by at least 3 users has only 3 pictures, and 10 are the least" in str(caught.value)
    assert "--liked-by" in str(caught.value)


def test_dislikes_views_days_and_users_decide(tmp_path: Path) -> None:
    store = liked_store(tmp_path)
    events(store, "ann", ["dot-030"], "view")
    events(store, "bob", ["dot-031"], "comment")
    events(store, "eve", ["dot-000", "dot-001"], "dislike")
    events(store, "eve", ["dot-032"], "like", day=30)

    def ids(liked: Liked) -> set[str]:
        return set(find_liked(store, liked, EventWeights()))

    assert "dot-030" not in ids(Liked()), "one view is no liking"
    assert "dot-031" in ids(Liked())
    assert "dot-000" in ids(Liked()), "two for, one against"
    events(store, "dan", ["dot-000"], "dislike")
    assert "dot-000" not in ids(Liked())
    assert ids(Liked(days=7)) == {"dot-032"}
    assert ids(Liked(user_ids=("bob",))) == {f"dot-{i:03d}" for i in range(12)} | {"dot-031"}
    assert set(find_liked(store, Liked(), EventWeights({"view": 1.0}))) == {"dot-030"}
    store.close()


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"users": 0}, "liked.users"),
        ({"days": -1.0}, "liked.days"),
        ({"users": 2, "user_ids": ("a",)}, "liked.users"),
    ],
)
def test_sets_without_a_meaning_are_refused(given: dict[str, object], field: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        Liked(**given)  # type: ignore[arg-type]
    assert caught.value.field == field
    with pytest.raises(InvalidInputError, match="in the catalogue alone"):
        DataChoice(path="x", liked=Liked())


def test_a_fine_tuning_begins_with_the_weights_classes_and_shape_of_its_model(tmp_path: Path) -> None:
    store = liked_store(tmp_path)
    events(store, "eve", [f"dot-{i:03d}" for i in range(0, 36, 3)], "purchase")
    store.close()
    first = run_of(tmp_path, "first", None)
    # All liked by eve are of one class; the model's three stay.
    tuned = run_of(
        tmp_path,
        "tuned",
        Liked(user_ids=("eve",)),
        from_model="dots",
        trainer__steps="1",
        gan__learning_rate="1e-8",
    )
    assert tuned.spec.from_model == first.made
    before, after = weights_of(tmp_path, first.made), weights_of(tmp_path, tuned.made)
    for name in before:
        if name.startswith("discriminator."):
            assert torch.allclose(before[name], after[name], atol=1e-5), name
    info = ModelRepository(tmp_path / "models").get(tuned.made)
    assert info.details["classes"] == ["0", "1", "2"]
    assert info.data["from_model"] == first.made
    assert (info.data["count"], info.options["gan.channels"]) == (12, "16")


def test_what_cannot_be_gone_on_with_is_refused_before_anything_is_trained(tmp_path: Path) -> None:
    liked_store(tmp_path).close()
    run_of(tmp_path, "first", None)
    repository = ModelRepository(tmp_path / "models")

    def checked(kind: str, options: dict[str, str], model: str) -> None:
        RunSpec.checked(kind, "dots", options, DataChoice(), repository, from_model=model)

    with pytest.raises(NotFoundError):
        checked("gan", {}, "none")
    with pytest.raises(InvalidInputError, match="from_model is 'dots', a gan; give the name of a vae"):
        checked("vae", {}, "dots")
    with pytest.raises(InvalidInputError, match="contradict each other"):
        checked("gan", {"gan.preset": "article"}, "dots")
    with pytest.raises(InvalidInputError, match="another shape than the options ask for"):
        run_of(tmp_path, "wide", None, from_model="dots", gan__channels="32")


def test_a_call_and_a_command_ask_for_the_same_set() -> None:
    request = training_service_pb2.StartTrainingRequest(
        kind="gan",
        model="dots",
        from_model="dots@1",
        liked=training_service_pb2.LikedItems(users=2, days=7, user_ids=["ann", "bob"]),
    )
    asked = training_from_proto(request)
    assert asked.data.liked == parse_liked(False, 2, 7.0, ("ann", "bob")) == Liked(2, 7.0, ("ann", "bob"))
    assert asked.from_model == "dots@1"
    assert DataChoice.from_json(json.loads(json.dumps(asdict(asked.data)))) == asked.data
    assert training_from_proto(training_service_pb2.StartTrainingRequest()).data.liked is None
    assert parse_liked(False, None, None, ()) is None
    for command in (["generator", "train", "--help"], ["generator", "jobs", "start", "--help"]):
        text = CliRunner().invoke(cli, command).output
        assert all(name in text for name in ("--from", "--liked", "--liked-by", "--liked-days", "--liked-user"))
