from __future__ import annotations

import gzip
import json
import struct
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from aigc.entities import Item, ItemContent
from aigc.errors import CorruptDataError, InvalidInputError, NotFoundError
from aigc.generate.base import ImageData, SoundData, TextData
from aigc.store.base import Store
from aigc.training.data import DataOptions, TrainingData, load_data
from aigc.training.data_folder import read_data, write_data
from aigc.training.data_options import ImageDataOptions, SoundDataOptions, TextDataOptions
from aigc.training.data_source import DataChoice
from tests.training.dots import dot_pictures, dot_store, png, store_url, tone


def no_store() -> Store:
    raise AssertionError("the catalogue is not wanted")


def from_store(
    home: Path, items: list[Item], modality: str, options: DataOptions, *, captions: bool = False, **choice: object
) -> TrainingData:
    from aigc.store.sql import open_store

    home.mkdir(parents=True, exist_ok=True)
    store = open_store(store_url(home))
    store.upsert_items(items)
    store.close()
    return load_data(
        modality,
        DataChoice(**choice),  # type: ignore[arg-type]
        options,
        lambda: open_store(store_url(home), read_only=True),
        captions=captions,
    )


def images(data: TrainingData) -> tuple[ImageData, ImageData]:
    assert isinstance(data.train, ImageData)
    assert isinstance(data.held_out, ImageData)
    return data.train, data.held_out


def test_pictures_of_the_catalogue_come_with_classes_and_captions(tmp_path: Path) -> None:
    data = from_store(tmp_path, dot_pictures(), "images", ImageDataOptions(), captions=True)
    train, held_out = images(data)
    assert (train.pixels.shape, held_out.pixels.shape) == ((36, 8, 8, 1), (4, 8, 8, 1))
    assert train.classes == ("0", "1", "2")
    assert len(train.labels) == len(train.captions) == 36
    # A brighter picture is of a higher class: labels stayed with their pictures.
    assert [train.pixels[train.labels == c].mean() // 80 for c in range(3)] == [0, 1, 2]
    assert train.captions[0].splitlines()[2].startswith("点")
    assert data.count == 40


def test_hidden_and_generated_items_are_left_out_unless_asked_for(tmp_path: Path) -> None:
    items = dot_pictures(30)
    items[0] = replace(items[0], hidden=True)
    items[1] = replace(items[1], generated=True)
    assert from_store(tmp_path, items, "images", ImageDataOptions()).count == 28
    assert from_store(tmp_path, items, "images", ImageDataOptions(), include_generated=True).count == 29


def test_kinds_and_categories_choose_items_and_classes(tmp_path: Path) -> None:
    items = [replace(i, categories=("all", *i.categories)) for i in dot_pictures(60)]
    data = from_store(tmp_path, items, "images", ImageDataOptions(), categories=("1", "2"), item_kinds=("image",))
    assert (data.count, images(data)[0].classes) == (40, ("1", "2"))
    with pytest.raises(InvalidInputError, match="the catalogue of kind photo has no pictures; import some with"):
        from_store(tmp_path, [], "images", ImageDataOptions(), item_kinds=("photo",))


def test_too_few_pictures_are_refused_with_their_number(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="the catalogue has only 5 pictures, and 10 are the least") as caught:
        from_store(tmp_path, dot_pictures(5), "images", ImageDataOptions())
    assert caught.value.reason == "TOO_LITTLE_DATA"


def test_odd_sizes_follow_the_most_frequent_one_and_no_common_size_is_an_error(tmp_path: Path) -> None:
    mixed = [*dot_pictures(20), *(replace(i, id=f"big-{i.id}") for i in dot_pictures(5, size=12))]
    data = from_store(tmp_path / "a", mixed, "images", ImageDataOptions())
    assert images(data)[0].pixels.shape[1:] == (8, 8, 1)
    assert "5 pictures were brought to 8 × 8" in data.notes
    several = [replace(dot_pictures(1, size=4 + i % 5)[0], id=str(i)) for i in range(20)]
    with pytest.raises(InvalidInputError, match=r"have 5 sizes.*data\.size=4x4") as caught:
        from_store(tmp_path / "b", several, "images", ImageDataOptions())
    assert caught.value.reason == "MIXED_SIZES"
    assert images(from_store(tmp_path / "b", [], "images", ImageDataOptions(size="6x10")))[0].pixels.shape[1:] == (
        6,
        10,
        1,
    )


def test_large_pictures_are_reduced_in_proportion_to_multiples_of_eight(tmp_path: Path) -> None:
    wide = np.zeros((100, 200, 3), np.uint8)
    wide[..., 0] = 200
    items = [Item(str(i), kind="image", content=ItemContent("image/png", png(wide))) for i in range(10)]
    assert images(from_store(tmp_path, items, "images", ImageDataOptions()))[0].pixels.shape == (8, 32, 64, 3)


def test_transparency_gives_four_channels_or_white_behind(tmp_path: Path) -> None:
    clear = np.zeros((8, 8, 4), np.uint8)
    items = [Item(str(i), kind="image", content=ItemContent("image/png", png(clear))) for i in range(10)]
    assert images(from_store(tmp_path, items, "images", ImageDataOptions()))[0].pixels.shape[3] == 4
    flat = images(from_store(tmp_path, items, "images", ImageDataOptions(channels=1)))[0].pixels
    assert flat.shape[3] == 1
    assert (flat == 255).all()


def test_pictures_that_do_not_decode_or_have_no_title_are_left_out_and_told_of(tmp_path: Path) -> None:
    items = dot_pictures(20)
    items[0] = replace(items[0], content=ItemContent("image/png", b"no picture"))
    items[1] = replace(items[1], title="", tags=())
    data = from_store(tmp_path, items, "images", ImageDataOptions(), captions=True)
    assert data.count == 18
    assert data.notes == (
        "1 left out: pictures that do not decode",
        "1 left out: pictures without a title to caption them",
    )


def test_no_classes_are_learned_where_an_item_has_none(tmp_path: Path) -> None:
    items = dot_pictures(20)
    items[3] = replace(items[3], categories=())
    data = from_store(tmp_path, items, "images", ImageDataOptions())
    assert images(data)[0].classes == ()
    assert "no classes are learned: 1 items have no category" in data.notes


def write_idx(folder: Path, part: str, count: int) -> None:
    pixels = np.arange(count * 16, dtype=np.uint8).reshape(count, 4, 4)
    head = struct.pack(">4i", 0x803, count, 4, 4)
    (folder / f"{part}-images-idx3-ubyte.gz").write_bytes(gzip.compress(head + pixels.tobytes()))
    labels = (np.arange(count) % 10).astype(np.uint8)
    (folder / f"{part}-labels-idx1-ubyte.gz").write_bytes(
        gzip.compress(struct.pack(">2i", 0x801, count) + labels.tobytes())
    )


def test_idx_files_hold_out_their_test_pictures(tmp_path: Path) -> None:
    write_idx(tmp_path, "train", 30)
    write_idx(tmp_path, "t10k", 20)
    data = load_data("images", DataChoice(str(tmp_path)), ImageDataOptions(), no_store)
    train, held_out = images(data)
    assert (len(train.pixels), len(held_out.pixels)) == (30, 20)
    assert train.labels.tolist() == [i % 10 for i in range(30)]
    one = load_data("images", DataChoice(str(tmp_path / "train-images-idx3-ubyte.gz")), ImageDataOptions(), no_store)
    assert (len(images(one)[0].pixels), len(images(one)[1].pixels)) == (27, 3)
    two = load_data("images", DataChoice(str(tmp_path), categories=("3", "7")), ImageDataOptions(), no_store)
    assert images(two)[0].classes == ("3", "7")


def test_a_folder_of_pictures_has_captions_from_its_file(tmp_path: Path) -> None:
    lines = []
    for i, item in enumerate(dot_pictures(12)):
        assert item.content is not None
        (tmp_path / f"{i}.png").write_bytes(item.content.data)
        lines.append(json.dumps({"file": f"{i}.png", "en": f"dot {i}", "zh": f"点{i}", "keywords_en": ["round"]}))
    (tmp_path / "captions.jsonl").write_text("\n".join(lines), encoding="utf-8")
    data = load_data("images", DataChoice(str(tmp_path)), ImageDataOptions(), no_store, captions=True)
    lines = images(data)[0].captions[0].splitlines()
    number = lines[0].removeprefix("dot ")
    assert lines == [f"dot {number}", f"dot {number}, round", f"点{number}"]


def test_recordings_get_their_class_from_the_name_and_one_rate(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "r.zip", "w") as archive:
        for i in range(20):
            archive.writestr(f"{i % 2}_anna_{i}.wav", tone(rate=16_000 if i == 19 else 8000))
    options = SoundDataOptions(name_pattern="{category}_{author}_{}")
    data = load_data("recordings", DataChoice(str(tmp_path / "r.zip")), options, no_store)
    assert isinstance(data.train, SoundData)
    assert (data.train.rate, data.train.classes, len(data.train.samples)) == (8000, ("0", "1"), 18)
    assert "1 recordings were brought to 8,000 Hz" in data.notes
    assert all(len(s) == 800 for s in data.train.samples)


def test_one_text_is_held_out_at_its_end_and_several_by_chance(tmp_path: Path) -> None:
    text = "\n\n".join(f"line {i}" for i in range(100))
    (tmp_path / "play.txt").write_text(text)
    data = load_data("texts", DataChoice(str(tmp_path / "play.txt")), TextDataOptions(), no_store)
    assert isinstance(data.train, TextData)
    assert "".join([*data.train.documents, *data.train.held_out]) == text
    assert len(data.train.held_out[0]) == pytest.approx(len(text) / 10, abs=1)
    assert data.count == 1
    with gzip.open(tmp_path / "poems.jsonl.gz", "wt", encoding="utf-8") as file:
        for i in range(20):
            file.write(
                json.dumps({"title": f"诗{i}", "lines": ["白日依山尽", "黄河入海流"]}, ensure_ascii=False) + "\n"
            )
    poems = load_data(
        "texts", DataChoice(str(tmp_path / "poems.jsonl.gz")), TextDataOptions(title=True), no_store
    ).train
    assert isinstance(poems, TextData)
    assert (len(poems.documents), len(poems.held_out)) == (18, 2)
    assert poems.documents[0].splitlines()[1:] == ["白日依山尽", "黄河入海流"]


def test_dialogues_become_pairs_and_no_dialogue_is_both_learned_and_held_out(tmp_path: Path) -> None:
    lines = [json.dumps({"turns": [f"q{i}", f"a{i}", f"p{i}", f"b{i}", "left over"]}) for i in range(20)]
    (tmp_path / "talk.jsonl").write_text("\n".join(lines))
    data = load_data("texts", DataChoice(str(tmp_path)), TextDataOptions(), no_store).train
    assert isinstance(data, TextData)
    assert (len(data.pairs), len(data.held_out_pairs), data.documents) == (36, 4, ())
    assert all(q[0] in "qp" and a == {"q": "a", "p": "b"}[q[0]] + q[1:] for q, a in data.pairs)
    learned = {q[1:] for q, _ in data.pairs}
    assert learned.isdisjoint(q[1:] for q, _ in data.held_out_pairs)


def test_texts_of_the_catalogue_are_told_apart_by_kind(tmp_path: Path) -> None:
    talk = [Item(f"t{i}", kind="dialogue", text=f"who is {i}?\nnumber {i}") for i in range(15)]
    poems = [Item(f"p{i}", kind="text", text=f"a poem of {i} words and more") for i in range(15)]
    pairs = from_store(tmp_path, [*talk, *poems], "texts", TextDataOptions(), item_kinds=("dialogue",)).train
    both = from_store(tmp_path, [], "texts", TextDataOptions()).train
    assert isinstance(pairs, TextData)
    assert isinstance(both, TextData)
    assert len(pairs.pairs) + len(pairs.held_out_pairs) == 15
    assert len(both.documents) + len(both.held_out) == 30


def test_a_path_without_data_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="nowhere does not exist"):
        load_data("images", DataChoice(str(tmp_path / "nowhere")), ImageDataOptions(), no_store)
    with pytest.raises(NotFoundError, match="holds no picture"):
        load_data("images", DataChoice(str(tmp_path)), ImageDataOptions(), no_store)
    with pytest.raises(NotFoundError, match="holds no file of texts"):
        load_data("texts", DataChoice(str(tmp_path)), TextDataOptions(), no_store)
    (tmp_path / "short.txt").write_text("too short")
    with pytest.raises(InvalidInputError, match="only 9 characters of text"):
        load_data("texts", DataChoice(str(tmp_path / "short.txt")), TextDataOptions(), no_store)
    with pytest.raises(InvalidInputError, match="in the catalogue alone"):
        DataChoice("x", item_kinds=("image",))


def test_equal_data_have_equal_hashes_and_a_changed_label_another(tmp_path: Path) -> None:
    one, two = (from_store(tmp_path / name, dot_pictures(), "images", ImageDataOptions()) for name in "ab")
    other = dot_pictures()
    other[5] = replace(other[5], categories=("1",))
    three = from_store(tmp_path / "c", other, "images", ImageDataOptions())
    assert one.sha256 == two.sha256 != three.sha256


@pytest.mark.parametrize("modality", ["images", "texts", "recordings"])
def test_kept_data_come_back_as_they_were(tmp_path: Path, modality: str) -> None:
    if modality == "images":
        data = from_store(tmp_path, dot_pictures(), modality, ImageDataOptions())
    elif modality == "texts":
        items = [Item(str(i), text=f"文本 {i} with a lone \\ and some words") for i in range(20)]
        data = from_store(tmp_path, items, modality, TextDataOptions())
    else:
        sounds = [
            Item(str(i), kind="audio", content=ItemContent("audio/wav", tone(seconds=0.05 + i / 100)))
            for i in range(12)
        ]
        data = from_store(tmp_path, sounds, modality, SoundDataOptions())
    write_data(tmp_path / "data", data)
    from aigc.training.data import data_hash

    back = read_data(tmp_path / "data")
    assert data_hash(back.train, back.held_out) == back.sha256 == data.sha256
    assert (back.count, back.notes) == (data.count, data.notes)


def test_damaged_kept_data_are_refused_by_name(tmp_path: Path) -> None:
    dot_store(tmp_path).close()
    write_data(tmp_path / "data", from_store(tmp_path, [], "images", ImageDataOptions()))
    victim = tmp_path / "data" / "train.pixels.npy"
    victim.write_bytes(victim.read_bytes()[:-1] + b"\x7f")
    with pytest.raises(CorruptDataError, match=r"train\.pixels\.npy does not match its checksum"):
        read_data(tmp_path / "data")
