"""Drawings of captions that were never seen, matched to their own caption among ten by a network trained apart.

Groups of 158, none in another: pictures of which neither picture nor caption was seen; known pictures whose Chinese
captions were held back, and others whose English ones were; known pictures with known captions. With
``--word-vectors``, such as ``word_vectors.py`` makes, the generator also reads vectors of words that were learned from
other texts.

Prediction without them, written before the run: at least 50 % (10 % by chance) for emoji of which neither picture nor
caption was seen; more for known pictures whose Chinese captions were held back.

Prediction with them, written before the run: 0.60 to 0.72 for known pictures in the language held back, since a real
picture of the nearest known caption reached 0.67 to 0.79 on other pictures and a drawing of known words 0.88 to 0.92;
0.42 to 0.52 for what was never seen, which is not the words' fault: no known picture shows what they say.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from picture_sets import emoji, train

from aigc.evaluate.generation.matcher import CaptionMatcher, CaptionMatcherTask
from aigc.generate.base import ImageData, ImageRequest
from aigc.generate.caption_gan import CaptionGanOptions
from aigc.generate.caption_gan_generator import CaptionGanGenerator
from aigc.generate.caption_gan_task import CaptionGanTask
from aigc.generate.pictures import draw_sheet
from aigc.training.options import TrainerOptions

GROUP = 158
LANGUAGES = {"Chinese": ("zh", "keywords_zh", "，"), "English": ("en", "keywords_en", ", ")}
COLUMNS = [f"{language} {how}" for language in LANGUAGES for how in ("name", "with keywords")]


def lines(entry: dict[str, object], *, without: str = "") -> list[str]:
    """Name, and name with keywords, in each language but one."""
    kinds = [kind for language, kind in LANGUAGES.items() if language != without]
    return [line for name, words, comma in kinds for line in (entry[name], comma.join([entry[name], *entry[words]]))]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=20)
    parser.add_argument("--steps", type=int, default=10_000, help="of the cosine; time ends it all the same")
    parser.add_argument("--word-vectors", type=Path, help="a .vec file with words of both languages")
    parser.add_argument("--work", type=Path, default=Path(tempfile.mkdtemp(prefix="aigc-captions-")))
    arguments = parser.parse_args()
    pixels, entries = emoji()
    order = np.random.default_rng(0).permutation(len(pixels))
    unseen, english_only, chinese_only, rest = (
        np.sort(part) for part in np.split(order, [GROUP, 2 * GROUP, 3 * GROUP])
    )
    without = dict.fromkeys(english_only.tolist(), "Chinese") | dict.fromkeys(chinese_only.tolist(), "English")
    known = np.sort(order[GROUP:])
    told = ["\n".join(lines(entries[i], without=without.get(i, ""))) for i in known.tolist()]
    train_set = ImageData(pixels[known], captions=told)
    held_out = ImageData(pixels[unseen], captions=["\n".join(lines(entries[i])) for i in unseen])

    judge_task = CaptionMatcherTask(ImageData(pixels, captions=["\n".join(lines(e)) for e in entries]))
    run = TrainerOptions(steps=1000, average_decay=0.99, log_every=100, precision="bfloat16")
    modules, seconds = train(judge_task, run, arguments.work / f"judge-{time.time_ns()}")
    judge = CaptionMatcher(modules["picture"], modules["caption"])
    print(
        f"judge: trained {seconds:.0f} s on all pictures and captions, with networks and hashes of its own", flush=True
    )

    options = CaptionGanOptions(word_vectors=str(arguments.word_vectors or ""))
    task = CaptionGanTask(train_set, held_out, options)
    run = TrainerOptions(
        steps=arguments.steps,
        precision="bfloat16",
        max_seconds=60 * arguments.minutes,
        log_every=100,
        validate_every=1000,
        collapse_below=0.1,
    )
    folder = arguments.work / f"captions-{time.time_ns()}"
    modules, seconds = train(task, run, folder)
    generator = CaptionGanGenerator.from_task(task, modules)
    (folder / "model").mkdir()
    generator.save(folder / "model")
    print(f"caption GAN: trained {seconds:.0f} s on {torch.get_num_threads()} threads, {len(known):,} pictures")
    groups = {
        "unseen picture and captions": unseen,
        "known picture, its Chinese captions unseen": english_only,
        "known picture, its English captions unseen": chinese_only,
        "known": rest[:GROUP],
    }
    for group, rows in groups.items():
        for index, column in enumerate(COLUMNS):
            captions = [lines(entries[i])[index] for i in rows]
            made = generator.generate(ImageRequest(list(range(len(rows))), captions=captions))
            drawn = np.stack([m.pixels for m in made])
            right = judge.match(drawn, captions)
            real = judge.match(pixels[rows], captions)
            wrong = judge.match(np.roll(drawn, 1, axis=0), captions)
            print(
                f"{group}, {column}: {right:.3f} of 10-way matches right (real pictures {real:.3f}, "
                f"shuffled {wrong:.3f})",
                flush=True,
            )
            if column in ("Chinese name", "English name"):
                shown = [part[i : i + 20] for i in range(0, 120, 20) for part in (pixels[rows], drawn)]
                name = folder / f"sheet-{group.replace(',', '').replace(' ', '-')}-{column[:7]}.png"
                print(draw_sheet(np.concatenate(shown), name, columns=20))
                print(" · ".join(captions[:120]), flush=True)


if __name__ == "__main__":
    main()
