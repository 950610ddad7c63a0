"""Worlds of pictures, and the eyes that read them."""

from __future__ import annotations

import gzip
import io
import json
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from aigc.entities import Item
from aigc.errors import CorruptDataError, InvalidInputError, NotFoundError
from aigc.evaluate.generation.lenet import LeNet, LeNetModule
from aigc.evaluate.generation.matcher import PictureEncoder
from aigc.evaluate.simulation.emoji_reader import EmojiReader, emoji_matcher_task
from aigc.evaluate.simulation.pictures import (
    DigitReader,
    EmojiSet,
    digits_world,
    emoji_world,
    pixels_of,
    read_emoji,
)

COLOURS = {"red": (220, 20, 20, 255), "green": (20, 220, 20, 255), "blue": (20, 20, 220, 255)}


@pytest.fixture
def mnist(tmp_path: Path) -> Path:
    pixels = np.random.default_rng(0).integers(0, 255, (40, 28, 28), np.uint8)
    labels = np.arange(40, dtype=np.uint8) % 10
    (tmp_path / "train-images-idx3-ubyte.gz").write_bytes(
        gzip.compress(struct.pack(">4i", 0x803, 40, 28, 28) + pixels.tobytes())
    )
    (tmp_path / "train-labels-idx1-ubyte.gz").write_bytes(
        gzip.compress(struct.pack(">2i", 0x801, 40) + labels.tobytes())
    )
    return tmp_path


@pytest.fixture
def emoji_folder(tmp_path: Path) -> Path:
    entries = [
        {
            "file": f"{name}{i}.png",
            "char": chr(0x1F300 + 20 * k + i),
            "en": f"{name} {i}",
            "keywords_en": [name, "blot"],
        }
        for k, name in enumerate(COLOURS)
        for i in range(4)
    ]
    (tmp_path / "captions.jsonl").write_text("\n".join(json.dumps(e) for e in entries))
    with zipfile.ZipFile(tmp_path / "png32.zip", "w") as archive:
        for entry in entries:
            target = io.BytesIO()
            colour = COLOURS[str(entry["en"]).split()[0]]
            picture = Image.new("RGBA", (32, 32), (0, 0, 0, 0))
            picture.paste(colour, (4, 4 + int(str(entry["en"]).split()[1]), 28, 28))
            picture.save(target, "PNG")
            archive.writestr(str(entry["file"]), target.getvalue())
    return tmp_path


def colours(folder: Path) -> EmojiSet:
    groups = {chr(0x1F300 + 20 * k + i): name for k, name in enumerate(COLOURS) for i in range(4)}
    return read_emoji(folder, groups, least=2)


def test_digits_have_their_class_as_category_and_their_truth(mnist: Path) -> None:
    world = digits_world(mnist, 2, 0)
    assert len(world.items) == 20
    assert all(world.aspects[row.argmax()] == item.categories[0] for item, row in zip(world.items, world.shows))  # noqa: B905
    assert pixels_of(world.items[0], "L", (28, 28)).shape == (28, 28)
    assert [i.content for i in digits_world(mnist, 2, 1).items] != [i.content for i in world.items]


def test_no_data_is_said_with_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="aigc datasets get mnist"):
        digits_world(tmp_path / "nowhere", 2, 0)
    with pytest.raises(NotFoundError, match=r"captions.jsonl is missing"):
        read_emoji(tmp_path, {})


def test_a_digit_is_read_as_probabilities(mnist: Path) -> None:
    world = digits_world(mnist, 1, 0)
    reader = DigitReader(LeNet(LeNetModule((28, 28, 1), 10), (28, 28, 1), [str(d) for d in range(10)]))
    chances = reader.read(world.items)
    assert chances.shape == (10, 10)
    assert chances.sum(axis=1) == pytest.approx(np.ones(10))
    with pytest.raises(InvalidInputError, match="not the ten digits"):
        DigitReader(LeNet(LeNetModule((28, 28, 1), 2), (28, 28, 1), ["a", "b"]))
    with pytest.raises(InvalidInputError, match="no picture"):
        reader.read([Item("x")])


def test_emoji_come_with_group_words_and_picture(emoji_folder: Path) -> None:
    emoji = colours(emoji_folder)
    world = emoji_world(emoji, 3, 0)
    assert world.aspects == ("blue", "green", "red")
    assert len(world.items) == 9
    for item, row in zip(world.items, world.shows, strict=True):
        assert item.categories == (world.aspects[row.argmax()],)
        assert item.title.startswith(item.categories[0])
        assert "blot" in item.tags
    assert read_emoji(emoji_folder, {chr(0x1F300): "red"}, least=1).aspects == ("red",)


def test_the_eye_for_emoji_is_saved_and_tells_groups_apart(emoji_folder: Path, tmp_path: Path) -> None:
    import torch

    emoji = colours(emoji_folder)
    assert len(emoji_matcher_task(emoji).data.captions) == 12
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        reader = EmojiReader(PictureEncoder((32, 32, 4)), emoji)
    world = emoji_world(emoji, 2, 0)
    chances = reader.read(world.items)
    assert chances.sum(axis=1) == pytest.approx(np.ones(6))
    assert (chances.argmax(axis=1) == world.shows.argmax(axis=1)).all()
    assert 0 <= reader.accuracy() <= 1
    folder = tmp_path / "saved"
    folder.mkdir()
    reader.save(folder)
    assert np.array_equal(EmojiReader.load(folder, emoji).read(world.items), chances)
    (folder / "model.safetensors").write_bytes(b"broken")
    with pytest.raises(CorruptDataError):
        EmojiReader.load(folder, emoji)
