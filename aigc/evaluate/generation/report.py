"""Everything that is measured of generated pictures, each figure beside its floor of real against real."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aigc.errors import InvalidInputError
from aigc.evaluate.generation.classes import ClassBalance, class_balance, label_accuracy
from aigc.evaluate.generation.coverage import Coverage, measure_coverage
from aigc.evaluate.generation.frechet import frechet_distance, kernel_distance
from aigc.evaluate.generation.memorisation import Memorisation, measure_memorisation
from aigc.evaluate.generation.network import FeatureNetwork
from aigc.generate.base import ImageData, ImageGenerator, ImageRequest

__all__ = ["ImageFigures", "ImageReport", "generate_for_report", "measure_images"]


@dataclass(frozen=True, slots=True)
class ImageFigures:
    """Figures of one set of pictures against held-out real ones.

    Attributes:
        frechet: Distance of the Gaussians of the features; 0 best.
        kernel: Unbiased kernel distance and its spread over subsets.
        coverage: Precision, recall, density, coverage.
        balance: Of the predicted classes; None without classes.
        label_accuracy: NaN where no class was asked for.
    """

    frechet: float
    kernel: tuple[float, float]
    coverage: Coverage
    balance: ClassBalance | None
    label_accuracy: float


@dataclass(frozen=True, slots=True)
class ImageReport:
    """A generator's figures and their floor.

    Attributes:
        network: Name, accuracy and file hash of what looked.
        n: Pictures on each side.
        generated: Of the generator.
        floor: Of training pictures in its place: what a perfect generator would score.
        memorisation: Distances to the nearest training picture.
    """

    network: str
    n: int
    generated: ImageFigures
    floor: ImageFigures
    memorisation: Memorisation

    def lines(self) -> list[str]:
        """For people: one figure a line, the floor beside it."""
        made, floor, copies = self.generated, self.floor, self.memorisation
        rows = [
            ("Fréchet distance", made.frechet, floor.frechet),
            ("kernel distance × 1000", 1e3 * made.kernel[0], 1e3 * floor.kernel[0]),
            ("precision", made.coverage.precision, floor.coverage.precision),
            ("recall", made.coverage.recall, floor.coverage.recall),
            ("density", made.coverage.density, floor.coverage.density),
            ("coverage", made.coverage.coverage, floor.coverage.coverage),
        ]
        if made.balance is not None and floor.balance is not None:
            rows.append(("class imbalance", made.balance.distance, floor.balance.distance))
        if np.isfinite(made.label_accuracy):
            rows.append(("label accuracy", made.label_accuracy, floor.label_accuracy))
        rows.append(("nearest training picture", copies.generated, copies.held_out))
        rows.append(("nearer than 99 % of held-out", copies.copies, 0.01))
        head = f"{self.n:,} pictures through {self.network}; real against real in brackets"
        return [head, *(f"  {name:<30} {value:9.4f}  ({least:.4f})" for name, value, least in rows)]


def measure_images(
    network: FeatureNetwork,
    train: ImageData,
    held_out: ImageData,
    pixels: NDArray[np.uint8],
    asked: NDArray[np.int64] | None = None,
    *,
    neighbours: int = 5,
    memorised: int = 2000,
    seed: int = 0,
) -> ImageReport:
    """Compare generated pictures with as many held-out ones; the floor puts training pictures in their place.

    Args:
        network: The eye.
        train: What the generator learned from.
        held_out: What neither saw.
        pixels: (n, height, width, channels) uint8, generated.
        asked: (n,) int64 classes asked for, or None.
        neighbours: Of precision, recall, density, coverage.
        memorised: How many pictures are compared with all training pictures.
        seed: Of the choice of real pictures.
    """
    n = min(len(pixels), len(held_out.pixels), len(train.pixels))
    if n <= neighbours:
        raise InvalidInputError(f"{n} pictures: more than {neighbours} are needed on each side", field="pixels")
    rng = np.random.default_rng(seed)
    rows = rng.permutation(len(held_out.pixels))[:n]
    known = rng.permutation(len(train.pixels))[:n]
    real = held_out.pixels[rows]
    shares = np.bincount(train.labels, minlength=len(network.classes)) if len(train.labels) else None

    def figures(shown: NDArray[np.uint8], labels: NDArray[np.int64] | None) -> ImageFigures:
        features = network.features(shown)
        chances = network.probabilities(shown) if network.classes else None
        return ImageFigures(
            frechet_distance(real_features, features),
            kernel_distance(real_features, features, seed=seed),
            measure_coverage(real_features, features, neighbours),
            class_balance(chances, shares / shares.sum()) if chances is not None and shares is not None else None,
            label_accuracy(chances, labels) if chances is not None and labels is not None else float("nan"),
        )

    real_features = network.features(real)
    return ImageReport(
        network=f"{network.name} (accuracy {network.test_accuracy:.4f}, sha256 {network.sha256[:12]})",
        n=n,
        generated=figures(pixels[:n], asked[:n] if asked is not None else None),
        floor=figures(train.pixels[known], train.labels[known] if len(train.labels) else None),
        memorisation=measure_memorisation(train.pixels, real[:memorised], pixels[:memorised]),
    )


def generate_for_report(
    generator: ImageGenerator, n: int, *, truncation: float = 1.0, first_seed: int = 0, batch: int = 1000
) -> tuple[NDArray[np.uint8], NDArray[np.int64] | None]:
    """(n, height, width, channels) uint8 of seeds in a row, and (n,) int64 classes asked for in turn, if any."""
    pixels = []
    for start in range(0, n, batch):
        seeds = range(first_seed + start, first_seed + min(n, start + batch))
        classes = [generator.classes[(s - first_seed) % len(generator.classes)] for s in seeds if generator.classes]
        made = generator.generate(ImageRequest(list(seeds), classes, truncation=truncation))
        pixels += [picture.pixels for picture in made]
    asked = np.arange(n, dtype=np.int64) % len(generator.classes) if generator.classes else None
    return np.stack(pixels), asked
