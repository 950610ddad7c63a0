"""Damaged archives and odd values are refused by name, never a traceback."""

from __future__ import annotations

import gzip
import io
import random
import struct
from pathlib import Path

import pytest
from PIL import Image

from aigc.collect.events_file import EventsFile
from aigc.collect.idx import read_idx
from aigc.collect.image_folder import read_images
from aigc.collect.items_file import ItemsFile
from aigc.collect.rejects import Rejects
from aigc.errors import InvalidInputError


def test_captions_that_are_no_objects_are_counted_and_the_others_count(tmp_path: Path) -> None:
    target = io.BytesIO()
    Image.new("RGB", (4, 4), "red").save(target, "PNG")
    (tmp_path / "a.png").write_bytes(target.getvalue())
    deep = "[" * 100_000
    (tmp_path / "captions.jsonl").write_text(f'[1]\n"x"\n{deep}\n{{"file": "a.png", "en": "cat"}}\n')
    rejects = Rejects(None)
    assert [i.title for i in read_images(tmp_path, rejects)] == ["cat"]
    assert dict(rejects.by_reason) == {"is no JSON object": 2, "is no JSON": 1}


def packed_pictures(folder: Path) -> tuple[Path, bytes]:
    data = struct.pack(">4i", 0x803, 50, 28, 28) + random.Random(0).randbytes(784 * 50)
    return folder / "t-images-idx3-ubyte.gz", gzip.compress(data)


def test_a_cut_off_gzip_of_pictures_gives_what_it_has(tmp_path: Path) -> None:
    path, packed = packed_pictures(tmp_path)
    path.write_bytes(packed[:20_000])
    rejects = Rejects(None)
    found = len(list(read_idx(path, rejects)))
    assert 0 < found < 50
    assert dict(rejects.by_reason) == {f"the file ends before picture {found} of 50": 1}


def test_a_gzip_with_a_damaged_stream_is_named(tmp_path: Path) -> None:
    path, packed = packed_pictures(tmp_path)
    path.write_bytes(packed[:10] + b"\xff\xff" + packed[12:])
    with pytest.raises(InvalidInputError, match=r"t-images-idx3-ubyte\.gz is no IDX file"):
        list(read_idx(path, Rejects(None)))


def test_a_cut_off_gzip_of_labels_is_named(tmp_path: Path) -> None:
    path, packed = packed_pictures(tmp_path)
    path.write_bytes(packed)
    labels = gzip.compress(struct.pack(">2i", 0x801, 50) + bytes(50))
    (tmp_path / "t-labels-idx1-ubyte.gz").write_bytes(labels[:14])
    with pytest.raises(InvalidInputError, match=r"t-labels-idx1-ubyte\.gz cannot be unpacked"):
        list(read_idx(path, Rejects(None)))


def test_a_number_too_large_for_a_float_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    path.write_text(f'{{"user_id": "u", "item_id": "i", "timestamp": 5, "value": {10**400}}}\n')
    rejects = Rejects(None)
    assert list(EventsFile(path, rejects)) == []
    assert dict(rejects.by_reason) == {"value: is not finite": 1}


def test_a_header_that_csv_cannot_read_is_one_clear_error(tmp_path: Path) -> None:
    path = tmp_path / "items.csv"
    path.write_bytes(b"id,title\r1,a\r2,b\r")
    with pytest.raises(InvalidInputError, match=r"items\.csv has no readable header"):
        ItemsFile(path, Rejects(None))
