"""Emoji found by their Chinese names, which are not stored: with Chinese keywords stored, and English ones only."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from opencc import OpenCC

from aigc.entities import Item
from aigc.features.text import TextEncoder
from aigc.recommend.train_options import TrainOptions

DATA = Path(__file__).resolve().parents[2] / "shared" / "data" / "emoji" / "captions.jsonl"
FOLDS = 5


def found(encoder: TextEncoder, items: list[Item], queries: list[str], rows: np.ndarray) -> float:
    """Share of the queries whose item is among the first ten."""
    scores = encoder.encode_text(queries) @ encoder.encode(items).T
    own = scores[np.arange(len(rows)), rows]
    return float(((scores >= own[:, None]).sum(axis=1) <= 10).mean())


def main() -> None:
    if not DATA.is_file():
        raise SystemExit(f"needs {DATA}")
    with DATA.open(encoding="utf-8") as file:
        entries = [json.loads(line) for line in file]
    size, everything = TrainOptions().text_size, np.arange(len(entries))
    names = [e["zh"] for e in entries]
    both = [Item(e["file"], title=e["en"], tags=(*e["keywords_en"], *e["keywords_zh"])) for e in entries]
    english = [Item(e["file"], title=e["en"], tags=tuple(e["keywords_en"])) for e in entries]
    encoder = TextEncoder.fit(both, size)
    aided = found(encoder, both, names, everything)
    print(f"Chinese keywords stored, embedding of {size}: {aided:.4f}")
    traditional = [OpenCC("s2t").convert(name) for name in names]
    written = np.flatnonzero([a != b for a, b in zip(names, traditional, strict=True)])
    for kind, queries in (("simplified", names), ("traditional", traditional)):
        share = found(encoder, both, [queries[i] for i in written], written)
        print(f"of the {len(written)} names that differ, asked for in {kind} characters: {share:.4f}")
    print("(limit 0.90; among", len(entries), "items, ties counted against us)")
    unaided = found(TextEncoder.fit(english, size), english, names, everything)
    print(f"only English keywords stored: {unaided:.4f}")
    for width in (size, 512):
        rates = []
        for fold in range(FOLDS):
            held = everything[everything % FOLDS == fold]
            # The others teach which Chinese and English words go together: cross-language LSA (Dumais et al. 1997).
            others = [
                Item(e["file"], title=e["en"], text=e["zh"], tags=(*e["keywords_en"], *e["keywords_zh"]))
                for i, e in enumerate(entries)
                if i % FOLDS != fold
            ]
            encoder = TextEncoder.fit(others, width)
            rates.append(found(encoder, english, [names[i] for i in held], held))
        print(f"the same, bilingual encoder of size {width} fitted on the other 80 %: {np.mean(rates):.4f}")


if __name__ == "__main__":
    main()
