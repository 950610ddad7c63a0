from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from aigc.errors import CorruptDataError, InvalidInputError
from aigc.generate.base import ImageData, ImageRequest
from aigc.generate.caption_gan import CaptionGanOptions
from aigc.generate.caption_gan_generator import CaptionGanGenerator
from aigc.generate.caption_gan_task import CaptionGanTask
from aigc.generate.caption_meaning import CaptionMeaning
from aigc.generate.caption_memory import CaptionMemory
from aigc.generate.caption_words import candidate_words, caption_words
from aigc.generate.gan_options import GanOptions
from aigc.generate.pictures import premultiplied
from aigc.generate.task import StepContext
from aigc.generate.word_caption_encoder import WordCaptionEncoder
from aigc.generate.word_vectors import read_word_vectors

# Three colours, each with a word that no caption of training has: "crimson" and 赤 lie near "red".
COLOURS = {"red": (230, 30, 30), "green": (30, 200, 60), "blue": (40, 60, 230)}
NEW = {"red": ("crimson", "赤"), "green": ("emerald", "碧绿"), "blue": ("navy", "藏青")}
VEC = """10 4
red 1 0 0 0.1
green 0 1 0 0.1
blue 0 0 1 0.1
crimson 0.9 0 0.1 0.2
emerald 0 0.9 0.1 0.2
navy 0.1 0 0.9 0.2
赤 0.9 0.1 0 0.3
碧绿 0.1 0.9 0 0.3
藏青 0 0.1 0.9 0.3
square 0 0 0 1
"""


pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def vec(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("vectors") / "words.vec"
    path.write_text(VEC, encoding="utf-8")
    return path


def squares(n: int) -> ImageData:
    names = [list(COLOURS)[i % 3] for i in range(n)]
    pixels = np.zeros((n, 8, 8, 4), np.uint8)
    for i, name in enumerate(names):
        pixels[i, 1:7, 1:7] = (*COLOURS[name], 255)
    return ImageData(pixels, captions=[f"{name} square" for name in names])


def options(**changes: object) -> CaptionGanOptions:
    networks = GanOptions(
        channels=(32, 16), latent_size=8, batch_size=32, penalty_every=2, patch=1, learning_rate=2e-3, penalty=0.1
    )
    return replace(CaptionGanOptions(networks=networks, caption_size=16), **changes)


def trained_with(chosen: CaptionGanOptions, steps: int) -> CaptionGanGenerator:
    task = CaptionGanTask(squares(96), squares(12), chosen)
    optimizers = task.optimizers()
    for step in range(steps):
        for phase in task.phases(StepContext(step)):
            optimizers[phase.optimizer].zero_grad()
            phase.loss.backward()
            optimizers[phase.optimizer].step()
    return CaptionGanGenerator.from_task(task, task.modules)


@pytest.fixture(scope="module")
def trained(vec: Path) -> CaptionGanGenerator:
    return trained_with(options(word_vectors=str(vec)), 60)


@pytest.mark.parametrize("language", [0, 1])
@pytest.mark.parametrize("recalled", [0.0, 1.0])
def test_words_that_no_caption_had_draw_what_is_near_in_meaning(
    trained: CaptionGanGenerator, language: int, recalled: float
) -> None:
    generator = CaptionGanGenerator(
        replace(trained.options, recalled=recalled),
        trained.image_shape,
        (trained.generator, trained.discriminator, trained.encoder),
        torch.zeros(256),
        trained.words,
    )
    right = 0
    for index, name in enumerate(COLOURS):
        made = generator.generate(ImageRequest(list(range(8)), captions=[NEW[name][language]] * 8))
        right += sum(int(premultiplied(m.pixels[None])[..., :3].sum(axis=(0, 1, 2)).argmax()) == index for m in made)
    assert right >= 20


def test_a_saved_model_needs_the_file_no_longer(trained: CaptionGanGenerator, tmp_path: Path) -> None:
    trained.save(tmp_path)
    assert "word_vectors" not in (tmp_path / "config.json").read_text(encoding="utf-8")
    again = CaptionGanGenerator.load(tmp_path)
    assert again.described["words"] == 10
    request = ImageRequest([3, 4], captions=["赤", "nothing known"])
    for old, new in zip(trained.generate(request), again.generate(request), strict=True):
        assert old.pixels.tobytes() == new.pixels.tobytes()
        assert old.quality == new.quality
    alone = again.generate(ImageRequest([4], captions=["nothing known"]))[0]
    assert alone.pixels.tobytes() == new.pixels.tobytes()


@pytest.mark.parametrize("name", ["words.text", "words.weights", "words.pieces", "memory.features", "memory.vectors"])
def test_a_saved_model_without_its_words_is_refused(trained: CaptionGanGenerator, tmp_path: Path, name: str) -> None:
    trained.save(tmp_path)
    tensors = load_file(tmp_path / "model.safetensors")
    save_file({k: v for k, v in tensors.items() if k != name}, tmp_path / "model.safetensors")
    with pytest.raises(CorruptDataError, match=r"model\.safetensors.*train it again"):
        CaptionGanGenerator.load(tmp_path)


def test_a_model_without_word_vectors_is_saved_as_before(tmp_path: Path) -> None:
    trained_with(options(hidden=0.1, neighbours=3), 0).save(tmp_path)
    config = (tmp_path / "config.json").read_text(encoding="utf-8")
    assert '"format": 1' in config
    assert not any(name in config for name in ("word", "hidden", "neighbours", "recalled"))
    assert not any(name.startswith(("words", "memory")) for name in load_file(tmp_path / "model.safetensors"))
    assert CaptionGanGenerator.load(tmp_path).words is None


def test_words_are_found_in_their_plural_and_in_runs_of_chinese() -> None:
    english = ["cherry", "kiss", "run", "smile", "cat"]
    known = {*english, "笑脸", "笑", "猫", "red"}
    assert caption_words("Cherries, kisses running SMILING cats cats", known) == english
    assert caption_words("大笑脸猫笑，cat", known) == ["笑脸", "猫", "笑", "cat"]
    assert caption_words("reds 🙂 zebra 2", known) == ["red"]
    assert caption_words("", known) == []
    for caption in ("Cherries running", "大笑脸猫笑"):
        assert set(caption_words(caption, known)) <= candidate_words(caption)


def test_rare_words_count_more_and_unknown_captions_are_zeros(vec: Path) -> None:
    table = read_word_vectors(vec, 10)
    meaning = CaptionMeaning.fitted(table, ["red square", "blue square", "green square"])
    features = meaning.features([meaning.words(c) for c in ("red square", "", "zebra", "crimson square")])
    assert (features.dtype, features.shape) == (torch.float32, (4, 4))
    np.testing.assert_allclose(features.norm(dim=1), [1, 0, 0, 1], rtol=1e-5)
    assert features[0, 0] > 0.99
    assert not meaning.pieces("zzz")
    assert meaning.pieces("red")


def test_what_is_recalled_is_the_nearest_and_nothing_for_nothing() -> None:
    memory = CaptionMemory(torch.eye(3).half(), torch.tensor([[1.0, 0], [0, 1], [-1, 0]]).half())
    recalled = memory.recall(torch.tensor([[0.0, 1, 0], [0, 0, 0]]), neighbours=2)
    np.testing.assert_allclose(recalled, [[0, 1], [0, 0]], atol=1e-3)
    assert memory.recall(torch.eye(3), neighbours=50).shape == (3, 2)


def test_the_encoder_reads_either_part_alone() -> None:
    encoder = WordCaptionEncoder(8, 4)
    nothing, some = torch.zeros(1, 48, dtype=torch.int64), torch.zeros(1, 48, dtype=torch.int64)
    some[0, 0] = 7
    zeros, feature = torch.zeros(1, 4), torch.tensor([[1.0, 0, 0, 0]])
    vectors = torch.cat([encoder(p, f) for p in (nothing, some) for f in (zeros, feature)])
    np.testing.assert_allclose(vectors.detach().norm(dim=1), 1, rtol=1e-5)
    assert len({tuple(v) for v in vectors.detach().numpy().round(4).tolist()}) == 4
    assert torch.equal(encoder(some), encoder(some, zeros))


def test_only_the_first_words_and_those_needed_are_kept(vec: Path) -> None:
    table = read_word_vectors(vec, 2, {"navy"})
    assert table.words == ("red", "green", "navy")
    assert (table.vectors.dtype, table.vectors.shape) == (torch.float16, (3, 4))
    np.testing.assert_allclose(table.vectors.float().norm(dim=1), 1, rtol=1e-3)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty"),
        (b"red 1 0\n", "begins with 'red 1 0'"),
        (b"0 4\n", "begins with '0 4'"),
        (b"1 2\nred 1\n", "line 2 has 1 numbers instead of 2"),
        (b"1 2\nred 1 2 3\n", "line 2 has 3 numbers instead of 2"),
        (b"2 2\nred 1 2\n\n", "line 3 has 0 numbers"),
        (b"1 2\nred 1 two\n", "line 2: could not convert"),
        (b"1 2\nred 1 nan\n", r"line 2 \(red\) has NaN or infinity"),
        (b"1 2\nred inf 1\n", r"line 2 \(red\) has NaN or infinity"),
        (b"2 2\nred 1 2\n", "has 1 words, and its first line says 2"),
        (b"1 2\nred 1 2\nblue 1 2\n", "has 2 words, and its first line says 1"),
        (b"1 2\nred 0 0\n", "has no word with a vector"),
        (b"1 2\n\xff\xfe 1 2\n", "is not in UTF-8"),
    ],
)
def test_a_file_that_is_no_table_of_vectors_is_refused_with_what_to_do(
    tmp_path: Path, content: bytes, said: str
) -> None:
    path = tmp_path / "bad.vec"
    path.write_bytes(content)
    with pytest.raises(InvalidInputError, match=said) as caught:
        read_word_vectors(path, 10)
    assert caught.value.field == "word_vectors"


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match=r"none\.vec cannot be read \(No such file") as caught:
        CaptionGanTask(squares(6), squares(6), options(word_vectors=str(tmp_path / "none.vec")))
    assert caught.value.field == "word_vectors"


@pytest.mark.parametrize(
    ("field", "value"),
    [("hidden", 1.5), ("dropped_words", 1.0), ("neighbours", 0), ("recalled", -0.1), ("word_limit", -1)],
)
def test_options_without_a_meaning_are_refused_by_name(field: str, value: float) -> None:
    with pytest.raises(InvalidInputError) as caught:
        options(**{field: value})
    assert caught.value.field == field
