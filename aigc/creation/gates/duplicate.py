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
_FAINTEST = 52.0
# Nearer to the ground than this part of what stands out most: noise, which must not move the middle.
_FAINT = 0.2
_NEAREST = 10
_LIKELY = 3
_PERHAPS = 36.0
_AROUND = (-0.8, -0.4, 0.0, 0.4, 0.8)
_RELIT, _OFFSET = 1.4, 24.0
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
        own = _thumbnail(candidate.pixels)
        with self._lock:
            _, rows = self._index.search(own[None], min(_NEAREST, len(self._ids)))
            known = [np.asarray(self._index.reconstruct(int(row)), np.float32) for row in rows[0]]
        distances = [_relit_distance(each, own) for each in known]
        if self._distance <= min(distances) < _PERHAPS:
            # A copy that lost an edge by being moved has another middle: look around it.
            moved = [_thumbnail(candidate.pixels, down, right) for down in _AROUND for right in _AROUND]
            distances = [
                min(_relit_distance(each, other) for other in _nearest_inside(each, moved)) for each in known[:_LIKELY]
            ]
        nearest = int(np.argmin(distances))
        if distances[nearest] < self._distance:
            found = self._ids[rows[0, nearest]]
            return Finding("DUPLICATE_PICTURE", f"is {found} but for {distances[nearest]:.1f} steps of 255")
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


def _thumbnail(pixels: NDArray[np.uint8], lower: float = 0.0, farther: float = 0.0) -> NDArray[np.float32]:
    """(16 · 16 · 3,) float32 of mean 0 and standard deviation 64, less for a faint picture.

    Args:
        pixels: (height, width, channels) uint8.
        lower: By how many of the sixteen rows the middle is taken lower than it is.
        farther: The same to the right.
    """
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
            (1, 0, right + farther * width / _SIDE, 0, 1, down + lower * height / _SIDE),
            resample=Image.Resampling.BILINEAR,
            fillcolor=tuple(int(v) for v in ground),
        )
    small = np.asarray(white.resize((_SIDE, _SIDE), Image.Resampling.BOX), np.float32).ravel()
    centred = small - small.mean()
    spread = float(centred.std())
    # A faint picture is not made as strong as any: what is faint in it is mostly how it is lit.
    return np.asarray(centred * np.float32(_CONTRAST / max(spread, _FAINTEST)), np.float32)


def _relit_distance(known: NDArray[np.float32], own: NDArray[np.float32]) -> float:
    """Root mean square difference of two thumbnails, what they show (not their ground) being lit alike.

    A lightened picture on white keeps its white: gain and offset are fitted to what stands out from the ground alone.
    """
    inside = (known - own).reshape(_SIDE, _SIDE, 3)[1:-1, 1:-1]
    plain = min(float(np.sqrt(np.mean((known - own) ** 2))), float(inside.std()))
    a, b = known.reshape(-1, 3), own.reshape(-1, 3)
    first, second = _off_ground(a), _off_ground(b)
    shape = np.abs(first).max(axis=1, keepdims=True)
    # Between ground and figure a pixel of the edge is partly each.
    figure = np.minimum(1, shape / (0.5 * max(float(shape.max()), 1e-6))) * np.ones_like(first)
    design = np.stack([first.ravel(), figure.ravel()], axis=1)
    gain, offset = np.linalg.lstsq(design, second.ravel(), rcond=None)[0].tolist()
    if not (1 / _RELIT < gain < _RELIT and abs(offset) < _OFFSET):
        return plain
    left = (design @ [gain, offset] - second.ravel()).reshape(_SIDE, _SIDE, 3)[1:-1, 1:-1]
    return min(plain, float(np.sqrt(np.mean(left**2))))


def _nearest_inside(known: NDArray[np.float32], moved: Sequence[NDArray[np.float32]]) -> list[NDArray[np.float32]]:
    """The three that differ least within the edge."""
    grids = (np.stack(moved) - known).reshape(len(moved), _SIDE, _SIDE, 3)[:, 1:-1, 1:-1]
    return [moved[i] for i in np.argsort((grids**2).mean(axis=(1, 2, 3)))[:3].tolist()]


def _off_ground(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    grid = rows.reshape(_SIDE, _SIDE, 3)
    edge = np.concatenate([grid[0], grid[-1], grid[:, 0], grid[:, -1]])
    return np.asarray(rows - np.median(edge, axis=0))


def _windows(text: str) -> set[int]:
    plain = _NO_WORD.sub("", unicodedata.normalize("NFKC", text).lower())
    return {hash(plain[i : i + _GRAM]) for i in range(len(plain) - _GRAM + 1)}
