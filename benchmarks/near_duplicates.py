"""A thousand near-duplicates planted among the originals of each modality: recall, precision, seconds.

A reported pair is right when it was planted; a pair of originals is right only if they really are the same: texts by an
edit similarity (difflib) of at least 0.8, pictures pixel by pixel. The thresholds were chosen on these data; so the
data are also halved: on one half the threshold that is best there is chosen anew (by the lower of recall and
precision), and what it reaches on the other half is printed.
"""

from __future__ import annotations

import difflib
import gzip
import io
import json
import random
import time
import zipfile
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
from PIL import Image

from aigc.prepare.duplicates import DuplicatePair
from aigc.prepare.picture_duplicates import find_picture_duplicates
from aigc.prepare.sound import Sound, decode_sound, resample
from aigc.prepare.sound_duplicates import find_sound_duplicates
from aigc.prepare.text_duplicates import find_text_duplicates

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
PLANTED = 1000


def report(
    name: str,
    total: int,
    planted: set[tuple[int, int]],
    same: Callable[[int, int], bool],
    find: Callable[[float], list[DuplicatePair]],
    default: float,
    grid: Sequence[float],
) -> None:
    """Measure at the default threshold; then choose on each half and measure on the other.

    ``grid`` rises in similarity; a planted copy stands in the half of its original.
    """
    started = time.perf_counter()
    pairs = find(default)
    seconds = time.perf_counter() - started
    recall, precision, others, right = quality(pairs, planted, same)
    print(f"{name:<9} {total:>8,}   recall {recall:.3f}   precision {precision:.3f}   {seconds:.1f} s")
    print(f"          {others:,} other pairs, {right:,} of them the same")
    source = {copy: original for original, copy in planted}
    shuffled = np.random.default_rng(1).random(total) < 0.5
    half = [bool(shuffled[source.get(row, row)]) for row in range(total)]
    known = lru_cache(maxsize=None)(same)
    at = [(threshold, find(threshold)) for threshold in grid]
    for side in (False, True):
        score: dict[bool, list[tuple[float, float]]] = {}
        for part in (side, not side):
            mine = {pair for pair in planted if half[pair[0]] == part}
            score[part] = [
                quality([p for p in found if half[p.first] == half[p.second] == part], mine, known)[:2]
                for _, found in at
            ]
        best = max(range(len(at)), key=lambda i: min(score[side][i]))
        there, (recall, precision) = score[side][best], score[not side][best]
        print(
            f"          chosen on one half: {at[best][0]:g} (recall {there[0]:.3f}, precision {there[1]:.3f}); "
            f"on the other: recall {recall:.3f}, precision {precision:.3f}",
            flush=True,
        )


def quality(
    pairs: Sequence[DuplicatePair], planted: set[tuple[int, int]], same: Callable[[int, int], bool]
) -> tuple[float, float, int, int]:
    """Recall, precision, pairs beside the planted ones, and how many of those are the same."""
    hit = planted & {(p.first, p.second) for p in pairs}
    others = [(p.first, p.second) for p in pairs if (p.first, p.second) not in planted]
    right = sum(same(a, b) for a, b in others)
    return len(hit) / len(planted), (len(hit) + right) / max(1, len(pairs)), len(others), right


def texts(rng: random.Random) -> None:
    with gzip.open(DATA / "poetry" / "poems.jsonl.gz", "rt", encoding="utf-8") as file:
        poems = ["\n".join(json.loads(line)["lines"]) for line in file]
    plays = (DATA / "tinyshakespeare" / "input.txt").read_text(encoding="utf-8").split("\n\n")
    lines = [line for poem in poems for line in poem.split("\n")]
    originals = poems + [p for p in plays if p.strip()]
    originals += ["\n".join(rng.sample(lines, 8)) for _ in range(100_000 - PLANTED - len(originals))]
    sources = rng.sample([i for i, poem in enumerate(poems) if 40 <= len(poem) <= 600], PLANTED)
    everything = originals + [edited(poems[i], rng) for i in sources]
    planted = {(i, len(originals) + k) for k, i in enumerate(sources)}

    def same(a: int, b: int) -> bool:
        return difflib.SequenceMatcher(None, everything[a], everything[b], autojunk=False).ratio() >= 0.8

    found = find_text_duplicates(everything, similarity=0.4)

    def find(similarity: float) -> list[DuplicatePair]:
        if similarity == 0.65:
            return find_text_duplicates(everything)
        return [pair for pair in found if pair.similarity >= similarity]

    report("texts", len(everything), planted, same, find, 0.65, [0.4, 0.5, 0.55, 0.6, 0.64, 0.7, 0.75, 0.8, 0.9])


def edited(text: str, rng: random.Random) -> str:
    letters, kind = list(text), rng.randrange(6)
    lines = text.split("\n")
    if kind == 0:
        for _ in range(rng.randint(1, 3)):
            letters[rng.randrange(len(letters))] = rng.choice("天地人山水花月風雲雨")
    elif kind == 1:
        letters = [c for c in letters if c not in "，。！？、；"]
    elif kind == 2:
        del letters[rng.randrange(len(letters))]
    elif kind == 3:
        letters.insert(rng.randrange(len(letters)), rng.choice("天地人山水花月風雲雨"))
    elif kind == 4:
        letters = list(text.replace("\n", " ").replace("，", ", "))
    elif len(lines) >= 8:
        del lines[rng.randrange(len(lines))]
        return "\n".join(lines)
    return "".join(letters)


def pictures(rng: np.random.Generator) -> None:
    with zipfile.ZipFile(DATA / "emoji" / "png32.zip") as archive:
        names = archive.namelist()
        originals = [Image.open(io.BytesIO(archive.read(name))).convert("RGBA") for name in names]
    sources = rng.permutation(len(originals))[:PLANTED]
    everything: list[Image.Image] = [*originals, *(changed(originals[i], k % 4, rng) for k, i in enumerate(sources))]
    planted = {(int(i), len(originals) + k) for k, i in enumerate(sources)}
    bytes_of = [picture.tobytes() for picture in everything]
    report(
        "pictures",
        len(everything),
        planted,
        lambda a, b: bytes_of[a] == bytes_of[b],
        lambda distance: find_picture_duplicates(everything, distance=distance),
        9.0,
        [16, 14, 12, 11, 10, 9, 8, 7, 6, 4],
    )


def changed(picture: Image.Image, kind: int, rng: np.random.Generator) -> Image.Image:
    """Resized, encoded as JPEG, cropped by 5 % at one side, or with noise."""
    white = Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture).convert("RGB")
    if kind == 0:
        side = int(rng.integers(24, 97))
        return picture.resize((side, side), Image.Resampling.BICUBIC)
    if kind == 1:
        target = io.BytesIO()
        white.save(target, "JPEG", quality=int(rng.integers(40, 91)))
        return Image.open(io.BytesIO(target.getvalue()))
    if kind == 2:
        side, box = int(rng.integers(4)), [0, 0, 96, 96]
        box[side] += 5 if side < 2 else -5
        return white.resize((96, 96), Image.Resampling.BICUBIC).crop((box[0], box[1], box[2], box[3]))
    pixels = np.asarray(white).astype(float)
    return Image.fromarray(np.clip(pixels + rng.normal(0, rng.uniform(5, 15), pixels.shape), 0, 255).astype(np.uint8))


def sounds(rng: np.random.Generator) -> None:
    with zipfile.ZipFile(DATA / "spoken-digits" / "recordings.zip") as archive:
        originals = [decode_sound(archive.read(name)) for name in archive.namelist()]
    sources = rng.permutation(len(originals))[:PLANTED]
    everything = originals + [altered(originals[i], k % 3, rng) for k, i in enumerate(sources)]
    planted = {(int(i), len(originals) + k) for k, i in enumerate(sources)}
    found = find_sound_duplicates(everything, similarity=0.5)

    def find(similarity: float) -> list[DuplicatePair]:
        if similarity == 0.9:
            return find_sound_duplicates(everything)
        return [pair for pair in found if pair.similarity >= similarity]

    grid = [0.5, 0.6, 0.7, 0.8, 0.85, 0.88, 0.91, 0.93, 0.95, 0.97, 0.99]
    report("sounds", len(everything), planted, lambda _a, _b: False, find, 0.9, grid)


def altered(sound: Sound, kind: int, rng: np.random.Generator) -> Sound:
    """At another rate, 12 dB quieter, or with up to half a second of silence or faint noise at either end."""
    if kind == 0:
        return resample(sound, int(rng.choice([6000, 11_025, 16_000])))
    if kind == 1:
        return Sound((sound.samples * 10 ** (-12 / 20)).astype(np.float32), sound.rate)
    ends = []
    for length in rng.integers(0, sound.rate // 2, 2):
        level = 1e-3 if rng.random() < 0.5 else 0.0
        ends.append(rng.normal(0, level, length).astype(np.float32))
    return Sound(np.concatenate([ends[0], sound.samples, ends[1]]), sound.rate)


def main() -> None:
    if not DATA.is_dir():
        raise SystemExit(f"needs {DATA}")
    print("limits: recall and precision 0.95; 100,000 texts in 60 s")
    texts(random.Random(0))
    pictures(np.random.default_rng(0))
    sounds(np.random.default_rng(0))


if __name__ == "__main__":
    main()
