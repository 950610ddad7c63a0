"""Are pictures made for a user the user's favourites, both of them, and new? 200 users with two favourite digits each.

``GenerateForUser`` of a real server makes eight pictures for each user from behaviour alone; a LeNet that no generator
and no server knows reads them. Memorisation: how often is a picture closer to a training picture than the closest
pair of training pictures of its class are to each other, for generated pictures and for MNIST's test set?

Prediction, written before the run: 92 to 95 % are read as a favourite (the dial of 0.3 gives 6 % of the places to other
digits, the generator's own error is 1 %); both appear for at least 195 users; neither kind is ever that close.

python benchmarks/loop_favourites.py --gan FOLDER
"""

from __future__ import annotations

import argparse
import io
import tempfile
import time
from pathlib import Path

import numpy as np
from loop_home import Caller, build_home, digits, likes, tastes
from picture_sets import digit_network, mnist
from PIL import Image

from aigc.evaluate.generation.memorisation import nearest_distances
from aigc_server.simulation_client import ServedHome


def closest_pair(pixels: np.ndarray) -> float:
    """Root mean square difference of the two nearest of (n, height, width, 1) uint8, copies of one file apart."""
    rows = pixels.reshape(len(pixels), -1).astype(np.float32)
    norms = (rows**2).sum(axis=1)
    best = np.inf
    for start in range(0, len(rows), 1024):
        part = rows[start : start + 1024]
        squares = norms[start : start + 1024, None] + norms - 2 * part @ rows.T
        squares[np.arange(len(part)), start + np.arange(len(part))] = np.inf
        best = min(best, float(squares.min()))
    return float(np.sqrt(max(0.0, best) / rows.shape[1]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gan", type=Path, required=True, help="folder of a saved digits GAN")
    parser.add_argument("--users", type=int, default=200)
    parser.add_argument("--each", type=int, default=8)
    parser.add_argument("--work", type=Path, default=Path(tempfile.gettempdir()) / "aigc-loop", help="keeps the LeNet")
    arguments = parser.parse_args()
    began = time.perf_counter()
    train, test = mnist()
    eye = digit_network(train, test, arguments.work)
    items, favourites = digits(2000), tastes(arguments.users)
    rng = np.random.default_rng(3)
    events = [e for u, f in enumerate(favourites) for e in likes(f"user-{u}", f, items, rng)]
    pixels, wanted, owner = [], [], []
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "home"
        build_home(home, items, events, {"digits": arguments.gan})
        with ServedHome(home) as channel:
            caller = Caller(channel)
            calling = time.perf_counter()
            for user, pair in enumerate(favourites):
                for step in caller.admitted(f"user-{user}", arguments.each):
                    pixels.append(np.asarray(Image.open(io.BytesIO(step.item.content.data)).convert("L"))[..., None])
                    wanted.append(pair)
                    owner.append(user)
            calling = time.perf_counter() - calling
    shown = np.stack(pixels)
    read = [str(d) for d in eye.probabilities(shown).argmax(axis=1)]
    hit = np.array([r in pair for r, pair in zip(read, wanted, strict=True)])
    seen = [{r for r, o in zip(read, owner, strict=True) if o == u} for u in range(arguments.users)]
    both = sum(set(pair) <= seen[u] for u, pair in enumerate(favourites))
    one = sum(bool(set(pair) & seen[u]) for u, pair in enumerate(favourites))
    print(f"{len(shown)} pictures for {arguments.users} users, {calling / max(1, len(shown)) * 1000:.0f} ms a picture")
    print(f"read as a favourite: {hit.mean():.1%} (at least 90 %); the LeNet is right in {eye.test_accuracy:.1%}")
    print(f"both favourites appear for {both} of {arguments.users} users, one at least for {one}")
    close = {"generated": [0, len(shown)], "test set": [0, len(test.pixels)]}
    near = {
        "generated": nearest_distances(train.pixels, shown),
        "test set": nearest_distances(train.pixels, test.pixels),
    }
    for digit in range(10):
        limit = closest_pair(train.pixels[train.labels == digit])
        for name, (distances, rows) in near.items():
            own = train.labels[rows] == digit
            close[name][0] += int((distances[own] < limit).sum())
        print(f"  {digit}: the closest pair of training pictures lies {limit:.1f} of 255 apart")
    for name, (count, total) in close.items():
        least, middle = near[name][0].min(), np.median(near[name][0])
        print(
            f"closer to a training picture than that, {name}: {count} of {total} ({count / total:.2%}); "
            f"nearest {least:.1f}, median {middle:.1f}"
        )
    print(f"{time.perf_counter() - began:.0f} s in all")


if __name__ == "__main__":
    main()
