"""How many of the 1,000 kinds of stacked digits a GAN finds in 26,000 pictures, the article's loss beside the default.

Prediction, written before the run: 1,000 of 1,000 and KL at most 0.1 with the default; far fewer with the article's.
Figures of 26,000 pictures elsewhere: DCGAN 99, unrolled 48.7, PacGAN2 1,000 (Lin et al. 2018); R3GAN 1,000, KL 0.029
(Huang et al. 2024), on GPUs.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import torch
from picture_sets import digit_network, mnist, train

from aigc.evaluate.generation.report import generate_for_report
from aigc.evaluate.generation.stacked import count_modes, stack
from aigc.generate.base import ImageData
from aigc.generate.gan_generator import GanGenerator
from aigc.generate.gan_options import GanOptions
from aigc.generate.gan_task import GanTask
from aigc.generate.pictures import draw_sheet
from aigc.training.options import TrainerOptions

SAMPLES = 26_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--recipes", nargs="+", default=["default", "minimax", "article"])
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--steps", type=int, default=20_000, help="of the cosine; time ends it all the same")
    parser.add_argument("--work", type=Path, default=Path(tempfile.mkdtemp(prefix="aigc-stacked-")))
    arguments = parser.parse_args()
    train_set, test_set = mnist()
    network = digit_network(train_set, test_set, arguments.work)
    real, held_out = (stack(d.pixels, d.labels, n, seed=n)[0] for d, n in ((train_set, 60_000), (test_set, SAMPLES)))
    floor = count_modes(network, held_out)
    print(
        f"real stacks of unseen digits: {floor.modes} of {floor.possible}, KL {floor.kl:.4f} over {floor.samples:,} "
        f"(expected {floor.floor:.4f}); LeNet accuracy {network.test_accuracy:.4f}, sha256 {network.sha256[:12]}"
    )
    recipes = {
        "default": replace(GanOptions.named("default"), conditional=False),
        # The article's loss on the default's networks, and the article's networks with it.
        "minimax": replace(GanOptions.named("default"), conditional=False, loss="minimax", penalty=0.0, beta1=0.5),
        "article": GanOptions.named("article"),
    }
    for recipe in arguments.recipes:
        task = GanTask(ImageData(real), ImageData(held_out), recipes[recipe])
        run = TrainerOptions(
            steps=arguments.steps, precision="bfloat16", max_seconds=60 * arguments.minutes, log_every=100
        )
        folder = arguments.work / f"{recipe}-{time.time_ns()}"
        modules, seconds = train(task, run, folder)
        generator = GanGenerator.from_task(task, modules)
        pixels, _ = generate_for_report(generator, SAMPLES)
        found = count_modes(network, pixels)
        print(
            f"{recipe}: {found.modes} of {found.possible} kinds, KL {found.kl:.4f} over {found.samples:,} pictures; "
            f"trained {seconds:.0f} s on {torch.get_num_threads()} threads"
        )
        print(draw_sheet(pixels[:160], folder / "sheet.png", columns=16), flush=True)


if __name__ == "__main__":
    main()
