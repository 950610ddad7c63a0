"""Near-duplicates are found, and what only looks alike is not."""

from __future__ import annotations

import io
import random
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from aigc.entities import Item, ItemContent
from aigc.prepare.denoise import denoise, estimate_noise
from aigc.prepare.duplicates import DuplicatePair, first_of_group
from aigc.prepare.picture_duplicates import find_picture_duplicates
from aigc.prepare.sound import Sound, resample
from aigc.prepare.sound_duplicates import find_sound_duplicates
from aigc.prepare.text_duplicates import find_text_duplicates
from aigc.services.platform import Platform, PlatformOptions
from aigc.services.preparation import DUPLICATE_OF, Preparation


def rows(pairs: list[DuplicatePair]) -> set[tuple[int, int]]:
    return {(p.first, p.second) for p in pairs}


def test_groups_are_named_by_their_first_row() -> None:
    pairs = [DuplicatePair(1, 3, 1.0), DuplicatePair(3, 4, 0.9)]
    assert first_of_group(pairs, 6).tolist() == [0, 1, 2, 1, 1, 5]
    assert first_of_group([], 2).tolist() == [0, 1]
    assert first_of_group([], 0).tolist() == []


def test_edited_texts_are_found_and_others_are_not() -> None:
    rng = random.Random(0)
    texts = ["".join(rng.choices("天地玄黃宇宙洪荒日月盈昃辰宿列張寒來暑往秋收冬藏", k=60)) for _ in range(50)]
    texts += ["The quick brown fox jumps over the lazy dog near the river bank.", "  ", "", "short", "short"]
    planted = [
        texts[0][:30] + "，" + texts[0][30:],
        texts[1][:-1],
        "THE QUICK  BROWN FOX jumps over the lazy dog, near the river",
    ]
    assert rows(find_text_duplicates(texts + planted)) == {(0, 55), (1, 56), (50, 57), (53, 54)}


def drawn(seed: int) -> Image.Image:
    rng = random.Random(seed)
    image = Image.new("RGB", (64, 64), "white")
    draw = ImageDraw.Draw(image)
    for _ in range(6):
        x, y = rng.randrange(48), rng.randrange(48)
        draw.ellipse((x, y, x + 16, y + 16), fill=tuple(rng.randrange(256) for _ in range(3)))
    return image


def test_changed_pictures_are_found_and_others_are_not() -> None:
    pictures = [drawn(seed) for seed in range(20)]
    target = io.BytesIO()
    pictures[2].save(target, "JPEG", quality=50)
    noise = np.random.default_rng(0).normal(0, 10, (64, 64, 3))
    noisy = Image.fromarray(np.clip(np.asarray(pictures[3]) + noise, 0, 255).astype(np.uint8))
    planted = [pictures[0].resize((40, 40)), pictures[1].crop((3, 0, 64, 64)), Image.open(target), noisy]
    assert rows(find_picture_duplicates(pictures + planted)) == {(0, 20), (1, 21), (2, 22), (3, 23)}


def test_changed_recordings_are_found_and_others_are_not() -> None:
    rng = np.random.default_rng(0)
    sounds = []
    for _ in range(20):
        steps = np.cumsum(np.repeat(rng.uniform(0.1, 1.2, 10), 400))
        sounds.append(Sound((0.5 * np.sin(steps) * np.hanning(4000)).astype(np.float32), 8000))
    pad = np.zeros(1500, np.float32)
    planted = [
        resample(sounds[0], 16_000),
        Sound(sounds[1].samples / 4, 8000),
        Sound(np.concatenate([pad, sounds[2].samples, pad]), 8000),
    ]
    assert rows(find_sound_duplicates(sounds + planted)) == {(0, 20), (1, 21), (2, 22)}


def test_noise_is_measured_and_taken_out_and_clean_pictures_stay() -> None:
    clean = np.asarray(drawn(0))
    noisy = np.clip(clean + np.random.default_rng(0).normal(0, 25, clean.shape), 0, 255).astype(np.uint8)
    assert 18 < estimate_noise(noisy) < 32
    before, after = np.mean((noisy - 0.0 - clean) ** 2), np.mean((denoise(noisy) - 0.0 - clean) ** 2)
    assert after < before / 2
    assert denoise(clean) is clean


def test_a_catalogue_is_prepared_and_what_was_found_is_written(tmp_path: Path) -> None:
    platform = Platform.open(tmp_path, PlatformOptions(serving=False))
    target = io.BytesIO()
    drawn(1).save(target, "PNG")
    content = ItemContent("image/png", target.getvalue())
    cats = [f"a story of cats and kittens number {k}, they purr" for k in range(9)]
    cars = [f"the engine of motor {k} roars on a road" for k in range(9)]
    items = [Item(f"cat{k}", text=text, categories=("cats",)) for k, text in enumerate(cats)]
    items += [Item(f"car{k}", text=text, categories=("cars",)) for k, text in enumerate(cars)]
    items += [Item("new", text="kittens purr; a story of cats")]
    items += [Item("p1", content=content), Item("p2", content=content)]
    platform.catalog.upsert(items)
    preparation = Preparation(platform.store, platform.catalog)
    assert [stage for stage, _ in preparation.run(least_chance=0.6, hide=True)][-1] == "done"
    found = platform.store.get_items(["new", "p1", "p2"], with_content=True)
    assert found["new"].categories == ("cats",)
    assert found["p2"].attributes[DUPLICATE_OF] == "p1"
    assert found["p2"].hidden
    assert not found["p1"].hidden
    assert found["p2"].content == content
    platform.close()
