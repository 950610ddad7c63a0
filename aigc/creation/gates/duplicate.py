"""Content that is there already, or that a model only remembered."""

from __future__ import annotations

import re
import threading
import unicodedata
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from aigc.creation.candidate import Candidate
from aigc.creation.gates.gate import Finding

__all__ = ["PictureDuplicateGate", "TextDuplicateGate"]

_SIDE = 16
_CONTRAST = 64.0
# Nearer to the ground than this part of what stands out most: noise, which must not move the middle.
_FAINT = 0.2
_NO_WORD = re.compile(r"[\W_]+")
_GRAM = 8
_MOST_COPIED = 0.6


class PictureDuplicateGate:
    """Refuses a picture nearer to a known one than ``distance``: items of the catalogue and what models learned from.

    Pictures are compared over white, with what they show in the middle, averaged to 16 × 16 and brought to one mean and
    one contrast: a copy that was moved, lightened, darkened or strewn with a little noise is still a copy. An exact
    search finds the nearest.
    """

    name = "picture-duplicate"

    def __init__(self, distance: float) -> None:
        """Args: distance: root mean square difference, in steps of 0 to 255, below which it is the same picture."""
        # Slow to import.
        import faiss

        self._distance = distance
        self._index = faiss.IndexFlatL2(_SIDE * _SIDE * 3)
        self._ids: list[str] = []
        self._lock = threading.Lock()

    def add(self, ids: Sequence[str], pictures: Sequence[NDArray[np.uint8]]) -> None:
        """Know more pictures, each (height, width, channels) uint8."""
        if not pictures:
            return
        rows = np.stack([_thumbnail(p) for p in pictures])
        with self._lock:
            self._index.add(rows)
            self._ids.extend(ids)

    def judge(self, candidate: Candidate) -> Finding | None:
        """See :class:`Gate`."""
        if candidate.pixels is None or not self._ids:
            return None
        with self._lock:
            squares, rows = self._index.search(_thumbnail(candidate.pixels)[None], 1)
        distance = float(np.sqrt(max(0.0, float(squares[0, 0])) / (_SIDE * _SIDE * 3)))
        if distance < self._distance:
            return Finding("DUPLICATE_PICTURE", f"is {self._ids[rows[0, 0]]} but for {distance:.1f} steps of 255")
        return None


class TextDuplicateGate:
    """Refuses a text most of whose eight-character windows stand in one known text, or together in all of them.

    Windows are kept as 64-bit hashes, sorted: 10 bytes a character of what is known.
    """

    name = "text-duplicate"

    def __init__(self, most: float = _MOST_COPIED) -> None:
        """Args: most: share of windows that may be known."""
        self._most = most
        self._known: set[int] = set()
        self._lock = threading.Lock()

    def add(self, texts: Sequence[str]) -> None:
        """Know more texts."""
        with self._lock:
            for text in texts:
                self._known.update(_windows(text))

    def judge(self, candidate: Candidate) -> Finding | None:
        """See :class:`Gate`; what the prompt itself holds does not count."""
        if candidate.kind != "text":
            return None
        own = _windows(candidate.text) - _windows(candidate.prompt)
        if not own:
            return None
        with self._lock:
            share = sum(window in self._known for window in own) / len(own)
        if share > self._most:
            return Finding("DUPLICATE_TEXT", f"{share:.0%} of it stands in known texts word for word")
        return None


def _thumbnail(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """(16 · 16 · 3,) float32 of mean 0 and standard deviation 64, zeros for one flat colour."""
    from PIL import Image

    shown = Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels).convert("RGBA")
    white = Image.alpha_composite(Image.new("RGBA", shown.size, "white"), shown).convert("RGB")
    values = np.asarray(white, np.float32)
    edge = np.concatenate([values[0], values[-1], values[:, 0], values[:, -1]])
    ground = np.median(edge, axis=0)
    far = np.abs(values - ground).sum(axis=2)
    mass = np.where(far > _FAINT * far.max(), far, 0)
    total = float(mass.sum())
    if total > 0:
        height, width = mass.shape
        down = float(mass.sum(axis=1) @ np.arange(height)) / total - (height - 1) / 2
        right = float(mass.sum(axis=0) @ np.arange(width)) / total - (width - 1) / 2
        white = white.transform(
            white.size,
            Image.Transform.AFFINE,
            (1, 0, right, 0, 1, down),
            resample=Image.Resampling.BILINEAR,
            fillcolor=tuple(int(v) for v in ground),
        )
    small = np.asarray(white.resize((_SIDE, _SIDE), Image.Resampling.BOX), np.float32).ravel()
    centred = small - small.mean()
    spread = float(centred.std())
    return centred * np.float32(_CONTRAST / spread) if spread >= 1 else np.zeros_like(centred)


def _windows(text: str) -> set[int]:
    plain = _NO_WORD.sub("", unicodedata.normalize("NFKC", text).lower())
    return {hash(plain[i : i + _GRAM]) for i in range(len(plain) - _GRAM + 1)}
