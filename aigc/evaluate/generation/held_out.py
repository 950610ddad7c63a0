"""What is measured of every generator of pictures when its training ends, so that versions can be compared."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from aigc.evaluate.generation.coverage import measure_coverage
from aigc.evaluate.generation.frechet import frechet_distance
from aigc.evaluate.generation.gradients import GradientEye
from aigc.evaluate.generation.memorisation import measure_memorisation
from aigc.evaluate.generation.network import FeatureNetwork
from aigc.generate.base import ImageData, ImageGenerator, ImageRequest

__all__ = ["LEAST_PICTURES", "held_out_measures"]

LEAST_PICTURES = 100


def held_out_measures(
    generator: ImageGenerator,
    train: ImageData,
    held_out: ImageData,
    *,
    n: int = 1000,
    repeats: int = 5,
    seed: int = 0,
    eye: FeatureNetwork | None = None,
) -> dict[str, float]:
    """``frechet``, ``precision``, ``recall``, ``coverage`` and ``copies``, as the offline gate names them.

    Each is the mean over repeats with other pictures, and beside it stands ``…_error``, the standard error of the mean:
    with a thousand pictures the same generator measures differently each time, by as much as two versions differ.

    The pictures are of the classes, or drawn from the captions, of the held-out ones that they are compared with, so
    that a version is not blamed for the proportions of the data.

    Args:
        generator: To be measured.
        train: What it learned from.
        held_out: What it did not; fewer than 100 tell nothing, and the result is empty.
        n: Pictures on each side, at most; figures of another number do not compare.
        repeats: At least 2; each with other generated pictures, and other real ones as far as there are.
        seed: Of the choice of real pictures, and the first of the generated ones.
        eye: What looks; :class:`GradientEye` by default.
    """
    n = min(n, len(held_out.pixels), len(train.pixels))
    if n < LEAST_PICTURES:
        return {}
    looks: FeatureNetwork = eye if eye is not None else GradientEye()
    order = np.random.default_rng(seed).permutation(len(held_out.pixels))
    found: dict[str, list[float]] = {}
    for turn in range(repeats):
        rows = np.roll(order, -turn * n)[:n]
        seeds = range(seed + turn * n, seed + (turn + 1) * n)
        for name, value in _measured(generator, train, held_out, rows, seeds, looks).items():
            found.setdefault(name, []).append(value)
    errors = {f"{name}_error": float(np.std(values, ddof=1)) / repeats**0.5 for name, values in found.items()}
    return {name: float(np.mean(values)) for name, values in found.items()} | errors


def _measured(
    generator: ImageGenerator,
    train: ImageData,
    held_out: ImageData,
    rows: NDArray[np.int64],
    seeds: Sequence[int],
    eye: FeatureNetwork,
) -> dict[str, float]:
    known = set(generator.classes)
    names = [held_out.classes[held_out.labels[r]] for r in rows] if known and len(held_out.labels) else []
    request = ImageRequest(
        seeds,
        [name if name in known else "" for name in names],
        [held_out.captions[r].splitlines()[0] for r in rows] if len(held_out.captions) and not known else (),
    )
    made = np.stack([picture.pixels for picture in generator.generate(request)])
    real = held_out.pixels[rows]
    real_features, features = eye.features(real), eye.features(made)
    found = measure_coverage(real_features, features)
    return {
        "frechet": frechet_distance(real_features, features),
        "precision": found.precision,
        "recall": found.recall,
        "coverage": found.coverage,
        "copies": measure_memorisation(train.pixels, real, made).copies,
    }
