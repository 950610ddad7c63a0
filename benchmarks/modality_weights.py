"""Emoji, words and picture: how many of an item's ten nearest are of its group, with even and with learned weights?

Weights are learned from the categories of a random half of the items; counted is the other half, five halvings.
"""

from __future__ import annotations

import numpy as np
from categories import DATA, emoji, emoji_pictures
from numpy.typing import NDArray
from scipy import sparse

from aigc.entities import Item
from aigc.features.blend_weights import learn_weights
from aigc.features.registry import fit_encoder


def precision(rows: NDArray[np.float32], groups: NDArray[np.str_]) -> float:
    """Mean share of the ten nearest that are of one's own group."""
    cosines = rows @ rows.T
    np.fill_diagonal(cosines, -2)
    near = np.argpartition(-cosines, 10, axis=1)[:, :10]
    return float((groups[near] == groups[:, None]).mean())


def main() -> None:
    if not DATA.is_dir():
        raise SystemExit(f"needs the folder of real data at {DATA}")
    items = emoji_pictures(emoji())
    contents = {i.id: i.content for i in items if i.content is not None}
    bare = [Item(i.id, i.kind, i.title, tags=i.tags) for i in items]
    encoder = fit_encoder(bare, lambda ids: ((i, contents[i]) for i in ids), text_size=128, image_size=64)
    blocks = encoder.blocks(
        encoder.encode([Item(i.id, i.kind, i.title, tags=i.tags, content=i.content) for i in items])
    )
    nobody = sparse.csr_matrix((0, len(items) // 2), dtype=np.float32)
    results = []
    for seed in range(5):
        learned_on, counted = np.array_split(np.random.default_rng(seed).permutation(len(items)), 2)
        learned_on = learned_on[: len(items) // 2]
        learned = learn_weights([b[learned_on] for b in blocks], [items[i] for i in learned_on], nobody, seed)
        groups = np.array([items[i].categories[0] for i in counted])
        weights = learned.weights if learned else (1.0, 1.0)
        every = [(1.0, 1.0), weights, (1.0, 1e-9), (1e-9, 1.0)]
        results.append([precision(encoder.weighed(w).join([b[counted] for b in blocks]), groups) for w in every])
        print(
            f"halving {seed}: {', '.join(f'{n} {w:.2f}' for (n, _, _), w in zip(encoder.parts, weights, strict=True))}"
        )
    for name, value in zip(("even", "learned", "text alone", "image alone"), np.mean(results, axis=0), strict=True):
        print(f"{name:12} {value:.4f} of the ten nearest are of the item's group")


if __name__ == "__main__":
    main()
