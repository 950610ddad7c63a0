"""IDX files (LeCun's format of MNIST), plain or gzipped: pictures, and the labels found beside them."""

from __future__ import annotations

import gzip
import io
import struct
import zlib
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import IO, cast

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from aigc.collect.rejects import Rejects
from aigc.entities import Item, ItemContent
from aigc.errors import InvalidInputError, NotFoundError

__all__ = ["find_idx", "read_idx", "read_idx_arrays"]

_IMAGES = 0x00000803
_LABELS = 0x00000801
_MAX_SIDE = 4096


def find_idx(path: Path) -> list[Path]:
    """The image files of a folder, or the one that ``path`` is; empty when there is none."""
    candidates = sorted(path.iterdir()) if path.is_dir() else [path]
    return [p for p in candidates if p.is_file() and "idx3" in p.name]


def read_idx(path: Path, rejects: Rejects, *, limit: int = 0) -> Iterator[Item]:
    """Pictures as items of kind ``image``; the label, if there is a file of labels, is the category.

    Args:
        path: A file such as ``train-images-idx3-ubyte.gz``.
        rejects: Told when the file ends early.
        limit: Pictures at most; 0 for all.

    Raises:
        InvalidInputError: The file is no IDX file of pictures, or has another number of labels.
        NotFoundError: No such file.
    """
    if not path.is_file():
        raise NotFoundError(f"{path} is no file", reason="FILE_NOT_FOUND")
    labels = _read_labels(path)
    stem = path.name.split("-images")[0].split(".")[0]
    with _open(path) as file:
        count, height, width = _read_header(path, file, labels)
        for i in range(min(count, limit) if limit else count):
            try:
                pixels = file.read(height * width)
            except (OSError, EOFError, zlib.error):
                pixels = b""
            if len(pixels) < height * width:
                rejects.add(i, "", path.name, f"the file ends before picture {i} of {count}")
                return
            target = io.BytesIO()
            Image.frombytes("L", (width, height), pixels).save(target, "PNG")
            yield Item(
                id=f"{stem}-{i:05d}",
                kind="image",
                title=f"{stem} {i}",
                categories=(str(labels[i]),) if labels is not None else (),
                content=ItemContent("image/png", target.getvalue()),
            )


def read_idx_arrays(path: Path) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """(n, height, width) uint8 pictures and (n,) int64 labels, empty where there is no file of them.

    Raises:
        InvalidInputError: The file is no IDX file of pictures, ends early, or has another number of labels.
        NotFoundError: No such file.
    """
    if not path.is_file():
        raise NotFoundError(f"{path} is no file", reason="FILE_NOT_FOUND")
    labels = _read_labels(path)
    with _open(path) as file:
        count, height, width = _read_header(path, file, labels)
        try:
            data = file.read(count * height * width)
        except (OSError, EOFError, zlib.error) as error:
            raise InvalidInputError(f"{path} cannot be unpacked ({error})", field="path") from error
    if len(data) < count * height * width:
        raise InvalidInputError(f"{path} ends before picture {len(data) // (height * width)} of {count}", field="path")
    pixels = np.frombuffer(data, np.uint8).reshape(count, height, width)
    return pixels, np.frombuffer(labels or b"", np.uint8).astype(np.int64)


def _read_header(path: Path, file: IO[bytes], labels: bytes | None) -> tuple[int, int, int]:
    """(pictures, height, width)."""
    try:
        magic, count, height, width = struct.unpack(">4i", file.read(16))
    except (struct.error, OSError, EOFError, zlib.error) as error:
        raise InvalidInputError(f"{path} is no IDX file ({error})", field="path") from error
    if magic != _IMAGES or count < 0 or not (0 < height <= _MAX_SIDE and 0 < width <= _MAX_SIDE):
        raise InvalidInputError(
            f"{path} is no IDX file of pictures: its header says {magic:#x}, {count} of {height} × {width}",
            field="path",
        )
    if labels is not None and len(labels) != count:
        raise InvalidInputError(f"{path} has {count} pictures and {len(labels)} labels beside it", field="path")
    return count, height, width


def _read_labels(images: Path) -> bytes | None:
    name = images.name.replace("images", "labels").replace("idx3", "idx1")
    stem = name.removesuffix(".gz")
    for candidate in dict.fromkeys(chain([name], [stem, f"{stem}.gz"])):
        path = images.with_name(candidate)
        if path == images or not path.is_file():
            continue
        with _open(path) as file:
            try:
                head = file.read(8)
                if len(head) == 8 and struct.unpack(">2i", head)[0] == _LABELS:
                    return file.read(struct.unpack(">2i", head)[1])
            except (OSError, EOFError, zlib.error) as error:
                raise InvalidInputError(f"{path} cannot be unpacked ({error})", field="path") from error
        raise InvalidInputError(f"{path} is no IDX file of labels", field="path")
    return None


def _open(path: Path) -> IO[bytes]:
    return cast("IO[bytes]", gzip.open(path)) if path.suffix == ".gz" else path.open("rb")
