from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from aigc.errors import CorruptDataError, InvalidInputError
from aigc.generate.augment import shifted
from aigc.generate.base import ImageData, ImageGenerator, ImageRequest
from aigc.generate.caption_gan import CaptionGanOptions
from aigc.generate.caption_gan_generator import CaptionGanGenerator
from aigc.generate.caption_gan_task import CaptionGanTask
from aigc.generate.captions import CaptionEncoder, caption_pieces, pad_pieces
from aigc.generate.gan_options import GanOptions
from aigc.generate.loading import load_generator
from aigc.generate.pictures import premultiplied, straight
from aigc.generate.task import StepContext

COLOURS = {"red": ("红", (230, 30, 30)), "green": ("绿", (30, 200, 60)), "blue": ("蓝", (40, 60, 230))}
FORMS = {"bar": "条", "square": "方块"}


pytestmark = pytest.mark.usefixtures("one_thread")


def signs(n: int, seed: int) -> ImageData:
    """Coloured bars and squares on nothing, named in both languages."""
    rng = np.random.default_rng(seed)
    pixels = np.zeros((n, 8, 8, 4), np.uint8)
    captions = []
    for i in range(n):
        colour, form = list(COLOURS)[rng.integers(3)], list(FORMS)[rng.integers(2)]
        wide = 6 if form == "square" else 2
        left = int(rng.integers(0, 9 - wide))
        pixels[i, 1:7, left : left + wide] = (*COLOURS[colour][1], 255)
        captions.append(f"{colour} {form}\n{COLOURS[colour][0]}色{FORMS[form]}")
    return ImageData(pixels, captions=captions)


def options(**changes: object) -> CaptionGanOptions:
    networks = GanOptions(
        channels=(32, 16), latent_size=8, batch_size=32, penalty_every=2, patch=1, learning_rate=2e-3, penalty=0.1
    )
    return replace(CaptionGanOptions(networks=networks, caption_size=16), **changes)


@pytest.fixture(scope="module")
def trained() -> CaptionGanGenerator:
    task = CaptionGanTask(signs(256, 0), signs(32, 1), options())
    optimizers = task.optimizers()
    for step in range(60):
        for phase in task.phases(StepContext(step)):
            optimizers[phase.optimizer].zero_grad()
            phase.loss.backward()
            optimizers[phase.optimizer].step()
    return CaptionGanGenerator.from_task(task, task.modules)


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_colour_that_the_caption_names_is_drawn_in_both_languages(
    trained: CaptionGanGenerator, language: str
) -> None:
    right = 0
    for index, (english, (chinese, _)) in enumerate(COLOURS.items()):
        caption = f"{english} square" if language == "en" else f"{chinese}色方块"
        made = trained.generate(ImageRequest(list(range(10)), captions=[caption] * 10))
        right += sum(int(premultiplied(m.pixels[None])[..., :3].sum(axis=(0, 1, 2)).argmax()) == index for m in made)
    assert right >= 24


def test_pieces_are_the_same_in_every_process_and_bounded() -> None:
    assert caption_pieces("Smiling face") == caption_pieces("smiling  FACE")
    assert caption_pieces("a") == [6221, 2759]
    shared = set(caption_pieces("smiling")) & set(caption_pieces("smile"))
    assert len(shared) >= 3
    assert set(caption_pieces("笑脸")) & set(caption_pieces("笑"))
    assert caption_pieces("笑脸", seed=1) != caption_pieces("笑脸")
    assert caption_pieces(" ，、 ") == []
    assert len(caption_pieces("word " * 3 + " ".join(str(i) for i in range(500)))) <= 48


def test_a_caption_s_vector_ignores_padding_and_is_finite_for_nothing() -> None:
    encoder = CaptionEncoder(16).eval()
    with torch.no_grad():
        vectors = encoder(pad_pieces([caption_pieces("red"), [], caption_pieces("red")]))
    assert torch.isfinite(vectors).all()
    np.testing.assert_allclose(vectors.norm(dim=1), 1, rtol=1e-5)
    assert torch.equal(vectors[0], vectors[2])


def test_opacity_goes_into_the_colours_and_out_again() -> None:
    pixels = np.array([[[[200, 100, 50, 255], [200, 100, 50, 128], [9, 9, 9, 0]]]], np.uint8)
    back = straight(premultiplied(pixels))
    np.testing.assert_allclose(back[0, 0, :2].astype(int), pixels[0, 0, :2].astype(int), atol=2)
    assert back[0, 0, 2].tolist() == [0, 0, 0, 0]
    grey = np.zeros((1, 2, 2, 1), np.uint8)
    assert premultiplied(grey) is grey


def test_a_shift_of_nothing_changes_nothing() -> None:
    x = torch.rand(2, 3, 8, 8) * 2 - 1
    torch.testing.assert_close(shifted(x, torch.tensor([[0.5, 0.5, 0.5, 0.0]] * 2)), x, atol=1e-5, rtol=0)
    torch.testing.assert_close(shifted(x, torch.full((2, 4), 0.9)), x, atol=1e-5, rtol=0)
    assert not torch.allclose(shifted(x, torch.zeros(2, 4)), x)


def test_a_row_is_the_same_alone_and_in_a_batch(trained: CaptionGanGenerator) -> None:
    seeds, captions = list(range(21)), ["red bar", "蓝色方块", "green square"] * 7
    together = trained.generate(ImageRequest(seeds, captions=captions))
    for i in (0, 15, 16, 20):
        alone = trained.generate(ImageRequest([seeds[i]], captions=[captions[i]]))[0]
        assert alone.pixels.tobytes() == together[i].pixels.tobytes()
        assert alone.quality == together[i].quality


def test_what_is_saved_comes_back_and_makes_the_same(trained: CaptionGanGenerator, tmp_path: Path) -> None:
    trained.save(tmp_path)
    again = load_generator(tmp_path)
    assert isinstance(again, ImageGenerator)
    request = ImageRequest([3], captions=["红色条"])
    assert again.generate(request)[0].pixels.tobytes() == trained.generate(request)[0].pixels.tobytes()
    config = json.loads((tmp_path / "config.json").read_text())
    config["options"]["networks"]["channels"] = [17]
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(CorruptDataError, match=r"config\.json"):
        CaptionGanGenerator.load(tmp_path)


@pytest.mark.parametrize(
    ("field", "wanted"),
    [
        ("captions", ImageRequest([1, 2], captions=["one"])),
        ("captions[0]", ImageRequest([1], captions=["  "])),
        ("captions[0]", ImageRequest([1], captions=["x" * 1001])),
        ("classes", ImageRequest([1], ["cat"], ["one"])),
        ("truncation", ImageRequest([1], captions=["one"], truncation=1.5)),
    ],
)
def test_a_request_that_cannot_be_met_names_its_field(
    trained: CaptionGanGenerator, field: str, wanted: ImageRequest
) -> None:
    with pytest.raises(InvalidInputError) as caught:
        trained.generate(wanted)
    assert caught.value.field == field


@pytest.mark.parametrize(
    ("field", "value"), [("temperature", 0.0), ("dropped", 1.0), ("mismatch", -1.0), ("networks", GanOptions(pack=2))]
)
def test_options_without_a_meaning_are_refused_by_name(field: str, value: object) -> None:
    with pytest.raises(InvalidInputError) as caught:
        options(**{field: value})
    assert caught.value.field == field


def test_pictures_without_captions_are_refused() -> None:
    bare = ImageData(signs(4, 0).pixels)
    with pytest.raises(InvalidInputError, match="captions"):
        CaptionGanTask(bare, signs(4, 1), options())
    empty = ImageData(signs(2, 0).pixels, captions=["one", " "])
    with pytest.raises(InvalidInputError, match="empty caption"):
        CaptionGanTask(empty, signs(4, 1), options())


def test_validation_is_bounded_and_the_sheet_shows_real_above_drawn(tmp_path: Path) -> None:
    task = CaptionGanTask(signs(64, 0), signs(20, 1), options())
    measures = task.validate(task.modules)
    assert all(0 <= value <= 1 for value in measures.values())
    path = task.draw_samples(task.modules, tmp_path / "sheet")
    assert path == tmp_path / "sheet.png"
    with Image.open(path) as sheet:
        assert sheet.size == (20 * 18 + 2, 2 * 18 + 2)
