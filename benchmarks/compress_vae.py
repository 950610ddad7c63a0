"""A saved VAE before and after compression: size, time for sixteen pictures on one core, likelihood of held-out ones.

Prediction, written before the first run: the network is convolutions; bfloat16 makes it half as large and 1.5 times as
fast, int8 rounds only the linear layers, which hold most of the weights and little of the time: a third of the size and
hardly faster; pruning a quarter of the hidden units makes it 1.2 times as fast at a cost of nats that is not within the
tolerance without further training.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

from aigc.evaluate.generation.likelihood import measure_likelihood
from aigc.generate.base import ImageRequest
from aigc.generate.vae_generator import VaeGenerator
from aigc.generate.vae_task import binarised
from aigc.training.compress import compress
from benchmarks.picture_sets import mnist


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path, help="a folder that benchmarks/vae_mnist.py printed")
    parser.add_argument("--pictures", type=int, default=500)
    parser.add_argument("--save", type=Path, help="an empty folder for the best")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    _, test = mnist()
    pixels = binarised(test.pixels[: arguments.pictures], 1000)
    request = ImageRequest(list(range(16)))

    def likelihood(model: VaeGenerator) -> float:
        return -measure_likelihood(model.network, pixels, k=20).nll

    generator = VaeGenerator.load(arguments.model)
    report = compress(generator, lambda m: m.generate(request), likelihood, tolerance=0.1, rounds=15)
    print(f"sixteen pictures, one thread; quality: log-likelihood of {len(pixels)} pictures in nats (k = 20)")
    print("\n".join(report.lines()))
    if arguments.save:
        report.best.save(arguments.save)
        print(f"kept: {report.best.compression or 'the original'}, saved in {arguments.save}")


if __name__ == "__main__":
    main()
