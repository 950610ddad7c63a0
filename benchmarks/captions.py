"""Drawings of captions that were never seen, matched to their own caption among ten by a network trained apart.

Prediction, written before the run: at least 50 % (10 % by chance) for emoji of which neither picture nor caption was
seen; more for known pictures whose Chinese captions were held back.
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

HELD_OUT = 158
WITHOUT_CHINESE = 158


def lines(entry: dict[str, object], *, chinese: bool = True) -> str:
    """Name, and name with keywords, in each language."""
    kinds = (("zh", "keywords_zh", "，"), ("en", "keywords_en", ", "))[0 if chinese else 1 :]
    return "\n".join(
        line for name, words, comma in kinds for line in (entry[name], comma.join([entry[name], *entry[words]]))
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=20)
    parser.add_argument("--steps", type=int, default=10_000, help="of the cosine; time ends it all the same")
    parser.add_argument("--work", type=Path, default=Path(tempfile.mkdtemp(prefix="aigc-captions-")))
    arguments = parser.parse_args()
    pixels, entries = emoji()
    order = np.random.default_rng(0).permutation(len(pixels))
    unseen, english_only = np.split(np.sort(order[:HELD_OUT]), [HELD_OUT])[0], set(order[HELD_OUT:][:WITHOUT_CHINESE])
    known = np.sort(order[HELD_OUT:])
    train_set = ImageData(pixels[known], captions=[lines(entries[i], chinese=i not in english_only) for i in known])
    held_out = ImageData(pixels[unseen], captions=[lines(entries[i]) for i in unseen])

    judge_task = CaptionMatcherTask(ImageData(pixels, captions=[lines(e) for e in entries]))
    run = TrainerOptions(steps=1000, average_decay=0.99, log_every=100, precision="bfloat16")
    modules, seconds = train(judge_task, run, arguments.work / f"judge-{time.time_ns()}")
    judge = CaptionMatcher(modules["picture"], modules["caption"])
    print(f"judge: trained {seconds:.0f} s on all pictures and captions, with networks and hashes of its own")

    task = CaptionGanTask(train_set, held_out, CaptionGanOptions())
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
        "known picture, its Chinese captions unseen": np.array(sorted(english_only)),
        "known": known[:HELD_OUT],
    }
    for group, rows in groups.items():
        for index, how in enumerate(("Chinese name", "Chinese with keywords", "English name", "English with keywords")):
            captions = [lines(entries[i]).splitlines()[index] for i in rows]
            made = generator.generate(ImageRequest(list(range(len(rows))), captions=captions))
            drawn = np.stack([m.pixels for m in made])
            told = judge.match(drawn, captions)
            real = judge.match(pixels[rows], captions)
            wrong = judge.match(np.roll(drawn, 1, axis=0), captions)
            print(
                f"{group}, {how}: {told:.3f} of 10-way matches right (real pictures {real:.3f}, shuffled {wrong:.3f})"
            )
            if index == 1:
                shown = [part[i : i + 20] for i in range(0, 120, 20) for part in (pixels[rows], drawn)]
                name = folder / f"sheet-{group.split(',')[0].replace(' ', '-')}.png"
                print(draw_sheet(np.concatenate(shown), name, columns=20))
                print(" · ".join(captions[i].split("，")[0] for i in range(120)), flush=True)


if __name__ == "__main__":
    main()
