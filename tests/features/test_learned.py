"""Categories, sounds and audiences are learned, saved and found again."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import soundfile
from scipy import sparse

from aigc.entities import Item, ItemContent
from aigc.features.categories import CategoryClassifier
from aigc.features.collaborative import CollaborativeEncoder
from aigc.features.registry import fit_encoder, load_encoder


def tone(pitch: float, rng: np.random.Generator) -> ItemContent:
    samples = 0.3 * np.sin(2 * np.pi * pitch * rng.uniform(0.95, 1.05) * np.arange(4000) / 8000)
    target = io.BytesIO()
    soundfile.write(target, samples + rng.normal(0, 0.01, 4000), 8000, format="WAV")
    return ItemContent("audio/wav", target.getvalue())


def catalogue() -> list[Item]:
    rng = np.random.default_rng(0)
    items = [Item(f"t{k}", text=f"kittens purr and cats play {k}", categories=("cats",)) for k in range(20)]
    items += [Item(f"c{k}", text=f"engines roar, motors run {k}", categories=("cars",)) for k in range(20)]
    pitches = {"low": 200, "high": 1500}
    for name, pitch in pitches.items():
        items += [Item(f"{name}{k}", "audio", categories=(name,), content=tone(pitch, rng)) for k in range(20)]
    return items


def contents_of(items: Sequence[Item]):  # type: ignore[no-untyped-def]
    found = {i.id: i.content for i in items if i.content is not None}

    def read(ids: Sequence[str]) -> Iterator[tuple[str, ItemContent]]:
        return ((i, found[i]) for i in ids if i in found)

    return read


def test_categories_are_told_from_text_and_sound_and_survive_saving(tmp_path: Path) -> None:
    items, rng = catalogue(), np.random.default_rng(1)
    classifier = CategoryClassifier.fit(items, contents_of(items))
    classifier.save(tmp_path)
    asked = [Item("x", text="a cat that purrs, and kittens"), Item("y", "audio", content=tone(200, rng)), Item("z")]
    for model in (classifier, CategoryClassifier.load(tmp_path)):
        chances = model.predict(asked)
        assert [model.categories[int(row.argmax())] for row in chances[:2]] == ["cats", "low"]
        assert not chances[2].any()
    assert CategoryClassifier.fit([], contents_of([])).predict(asked).shape == (3, 0)


def test_categories_learned_from_nothing_tell_nothing() -> None:
    assert CategoryClassifier.fit([], contents_of([])).predict([Item("x", text="a")]).shape == (1, 0)


def test_sounds_of_a_kind_are_near_each_other(tmp_path: Path) -> None:
    items = catalogue()
    encoder = fit_encoder(items, contents_of(items), text_size=8, sound_size=8)
    encoder.save(tmp_path)
    again = load_encoder(tmp_path)
    rows = again.encode(items[40:])
    np.testing.assert_array_equal(rows, encoder.encode(items[40:]))
    cosines = rows @ rows.T
    assert cosines[:20, :20].mean() > cosines[:20, 20:].mean() + 0.3
    assert not again.encode([Item("broken", content=ItemContent("audio/wav", b"no"))]).any()


def test_a_new_item_starts_near_its_audience(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    words = ["dragon castle", "sword magic", "rocket planet", "robot star"]
    items = [Item(str(n), text=f"{words[n % 4]} {rng.integers(1000)}") for n in range(400)]
    # Half of the people like the first two kinds, which share no word, the other half the last two.
    liked = np.array([[(n % 4 < 2) == (u % 2 == 0) and rng.random() < 0.3 for n in range(400)] for u in range(200)])
    content = fit_encoder(items, lambda _: iter(()), text_size=16)
    embeddings = content.encode(items)
    fitted = CollaborativeEncoder.fit(
        content, embeddings, sparse.csr_matrix(liked.astype(np.float32)), embedding_size=8, weight=0.5
    )
    assert fitted is not None
    encoder, placed = fitted
    assert placed.shape == (400, encoder.embedding_size)
    encoder.save(tmp_path)
    again = load_encoder(tmp_path)
    assert again.version == encoder.version
    new = again.encode([Item("new", text="a sword of magic")])[0]
    castle, planet = placed[::4].mean(axis=0), placed[2::4].mean(axis=0)
    assert new @ castle > new @ planet + 0.2
    assert not again.encode([Item("empty")]).any()
    nobody = sparse.csr_matrix((200, 400), dtype=np.float32)
    assert CollaborativeEncoder.fit(content, embeddings, nobody, embedding_size=8, weight=0.5) is None


def test_sounds_that_say_nothing_do_not_spoil_what_words_say(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    words = {"cats": "kittens purr", "cars": "motors run"}
    items = [
        Item(f"{k}", text=f"{words[name]} {k}", categories=(name,), content=tone(rng.uniform(200, 2000), rng))
        for k in range(100)
        for name in [("cats", "cars")[k % 2]]
    ]
    classifier = CategoryClassifier.fit(items, contents_of(items))
    assert classifier.weights["text"] > 3 * classifier.weights["sound"]
    classifier.save(tmp_path)
    chances = CategoryClassifier.load(tmp_path).predict([Item("x", text="kittens", content=tone(900, rng))])
    assert classifier.categories[int(chances[0].argmax())] == "cats"
    assert chances[0].max() > 0.8
