"""Readers account for every row, and bad input harms nothing but itself."""

from __future__ import annotations

import gzip
import io
import struct
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from aigc.collect.events_file import EventsFile
from aigc.collect.idx import find_idx, read_idx
from aigc.collect.image_folder import read_images
from aigc.collect.items_file import ItemsFile
from aigc.collect.movielens import MovieLens
from aigc.collect.parse import parse_time_ms
from aigc.collect.rejects import Rejects
from aigc.entities import Event
from aigc.errors import InvalidInputError, NotFoundError

HEADER = b"user_id,item_id,type,timestamp,value\n"
GOOD = b"u,i,like,1700000000,\n"


def events_of(path: Path, **options: str) -> tuple[list[Event], Rejects]:
    rejects = Rejects(path.with_suffix(".rejects.csv"))
    with rejects:
        return list(EventsFile(path, rejects, **({"encoding": "utf-8"} | options))), rejects  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (b",i,like,1700000000,\n", "user_id: is empty"),
        (b"u,,like,1700000000,\n", "item_id: is empty"),
        (b"u\x07,i,like,1700000000,\n", "user_id: holds a control character"),
        (b"u" * 300 + b",i,like,1700000000,\n", "user_id: is longer than 256 bytes"),
        (b"u,i,like,yesterday,\n", "timestamp: is no time (seconds, milliseconds or ISO 8601)"),
        (b"u,i,like,,\n", "timestamp: is no time (seconds, milliseconds or ISO 8601)"),
        (b"u,i,like,1601-01-01,\n", "timestamp: is not between 1800 and 2200"),
        (b"u,i,like,2990-01-01T00:00:00Z,\n", "timestamp: is not between 1800 and 2200"),
        (b"u,i,like,-5,\n", "timestamp: is before 1970"),
        (b"u,i,like,nan,\n", "timestamp: is not finite"),
        (b"u,i,like,1e400,\n", "timestamp: is not finite"),
        (b"u,i,rating,1700000000,inf\n", "value: is not finite"),
        (b"u,i,rating,1700000000,NaN\n", "value: is not finite"),
        (b"u,i,rating,1700000000,five\n", "value: is no number"),
        (b"u,i,like\n", "has another number of cells than the header"),
        (b"u,i,like,1700000000,,,,\n", "has another number of cells than the header"),
        (b"u,i\x00,like,1700000000,\n", "holds a NUL character"),
        (b"u,\xd6\xd0\xce\xc4,like,1700000000,\n", "is not utf-8 (see --encoding)"),
        (b"u," + b"x" * 1_200_000 + b",like,1700000000,\n", "line is longer than 1 MB"),
    ],
)
def test_a_bad_row_gives_its_reason_and_the_rest_is_unharmed(tmp_path: Path, row: bytes, reason: str) -> None:
    path = tmp_path / "events.csv"
    path.write_bytes(HEADER + GOOD + row + GOOD.replace(b"u,", b"v,"))
    events, rejects = events_of(path)
    assert [e.user_id for e in events] == ["u", "v"]
    assert dict(rejects.by_reason) == {reason: 1}
    assert rejects.path is not None
    written = rejects.path.read_text()
    assert written.splitlines()[0] == "line,field,value,reason"
    assert "\n3," in written, "the line number of the file"


def test_a_hundred_megabyte_line_takes_no_memory_and_harms_no_other(tmp_path: Path) -> None:
    import resource

    path = tmp_path / "events.csv"
    with path.open("wb") as file:
        file.write(HEADER + GOOD)
        for _ in range(100):
            file.write(b"x" * 1_000_000)
        file.write(b"\n" + GOOD)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    events, rejects = events_of(path)
    assert len(events) == 2
    assert rejects.total == 1
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000


def test_names_are_guessed_flags_win_and_nothing_recognisable_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    path.write_text("﻿userId,movieId,rating,ts\n1,2,4.5,2024-05-01T10:00:00+02:00\n", encoding="utf-8")
    rejects = Rejects(None)
    events = EventsFile(path, rejects)
    event = next(iter(events))
    assert events.mapping["item_id"] == "movieId"
    assert (event.type, event.value, event.time_ms) == ("rating", 4.5, 1_714_550_400_000)
    path.write_text("who,what,when\na,b,5\n")
    with pytest.raises(InvalidInputError, match=r"it has: who, what, when\. Name it: --column user_id=COLUMN"):
        EventsFile(path, rejects)
    events = EventsFile(path, rejects, columns={"user_id": "who", "item_id": "what", "time_ms": "when"})
    assert [e.user_id for e in events] == ["a"]
    with pytest.raises(InvalidInputError, match="no column 'where'"):
        EventsFile(path, rejects, columns={"user_id": "where"})


def test_the_same_file_gives_the_same_ids(tmp_path: Path) -> None:
    path = tmp_path / "events.csv"
    path.write_bytes(HEADER + GOOD + b"u,i,view,1700000000,\n")
    first, again = events_of(path)[0], events_of(path)[0]
    assert [e.id for e in first] == [e.id for e in again]
    assert len({e.id for e in first}) == 2


def test_jsonl_items_with_lists_and_chinese(tmp_path: Path) -> None:
    path = tmp_path / "items.jsonl"
    path.write_text(
        '{"id": 7, "title": "静夜思", "tags": ["月", "乡"], "category": "唐诗|五言", "year": 726}\nnot json\n[1]\n{}\n'
    )
    rejects = Rejects(None)
    items = ItemsFile(path, rejects)
    item = list(items)
    assert [i.id for i in item] == ["7"]
    assert item[0].tags == ("月", "乡")
    assert item[0].categories == ("唐诗", "五言")
    assert item[0].attributes == {"year": "726"}
    assert dict(rejects.by_reason) == {"is no JSON": 1, "is no JSON object": 1, "id: is no identifier": 1}


def test_another_encoding_can_be_said(tmp_path: Path) -> None:
    path = tmp_path / "items.csv"
    path.write_bytes("id,title\n1,静夜思\n".encode("gb18030"))
    items = ItemsFile(path, Rejects(None), encoding="gb18030")
    assert next(iter(items)).title == "静夜思"
    with pytest.raises(InvalidInputError, match="encoding 'klingon' is not known"):
        ItemsFile(path, Rejects(None), encoding="klingon")


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"", "is empty"), (b"id,id\n1,2\n", "has the column 'id' twice"), (b"\n", "has no column recognised")],
)
def test_a_file_without_a_use_is_one_clear_error(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "items.csv"
    path.write_bytes(content)
    with pytest.raises(InvalidInputError, match=message):
        ItemsFile(path, Rejects(None))
    with pytest.raises(NotFoundError, match="is no file"):
        ItemsFile(tmp_path / "absent.csv", Rejects(None))
    with pytest.raises(InvalidInputError, match=r"give one of \.csv, \.tsv, \.jsonl"):
        (tmp_path / "x.docx").touch()
        ItemsFile(tmp_path / "x.docx", Rejects(None))


def test_times_in_every_spelling() -> None:
    assert parse_time_ms("1700000000") == parse_time_ms(1_700_000_000_000) == parse_time_ms("2023-11-14T22:13:20Z")


def idx(folder: Path, count: int = 5, labels: int = 5, cut: int = 0, packed: bool = False) -> Path:
    images = struct.pack(">4i", 0x803, count, 4, 4) + bytes(range(16)) * count
    images = images[: len(images) - cut]
    name = folder / ("t-images-idx3-ubyte" + (".gz" if packed else ""))
    name.write_bytes(gzip.compress(images) if packed else images)
    (folder / "t-labels-idx1-ubyte").write_bytes(struct.pack(">2i", 0x801, labels) + bytes(range(labels)))
    return name


@pytest.mark.parametrize("packed", [False, True])
def test_idx_pictures_carry_their_labels(tmp_path: Path, packed: bool) -> None:
    path = idx(tmp_path, packed=packed)
    assert find_idx(tmp_path) == [path]
    items = list(read_idx(path, Rejects(None)))
    assert [i.categories for i in items] == [(str(n),) for n in range(5)]
    assert items[0].content is not None
    pixels = np.asarray(Image.open(io.BytesIO(items[0].content.data)))
    assert pixels.ravel().tolist() == list(range(16))
    assert len(list(read_idx(path, Rejects(None), limit=2))) == 2


def test_a_cut_off_idx_file_gives_what_it_has(tmp_path: Path) -> None:
    rejects = Rejects(None)
    assert len(list(read_idx(idx(tmp_path, cut=20), rejects))) == 3
    assert rejects.total == 1
    with pytest.raises(InvalidInputError, match="5 pictures and 3 labels"):
        list(read_idx(idx(tmp_path, labels=3), rejects))
    (tmp_path / "t-images-idx3-ubyte").write_bytes(b"hello")
    with pytest.raises(InvalidInputError, match="no IDX file"):
        list(read_idx(tmp_path / "t-images-idx3-ubyte", rejects))


def png(side: int = 4) -> bytes:
    target = io.BytesIO()
    Image.new("RGB", (side, side), "red").save(target, "PNG")
    return target.getvalue()


def test_pictures_of_a_folder_and_what_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "pictures"
    (folder / "cats").mkdir(parents=True)
    (folder / "cats" / "one.png").write_bytes(png())
    (folder / "broken.png").write_bytes(png()[:40])
    (folder / "text.png").write_text("no picture")
    (folder / "link.png").symlink_to("/etc/passwd")
    huge = bytearray(png())
    huge[16:24] = struct.pack(">2I", 50_000, 50_000)
    huge[29:33] = struct.pack(">I", zlib.crc32(huge[12:29]))
    (folder / "bomb.png").write_bytes(bytes(huge))
    with zipfile.ZipFile(folder / "more.zip", "w") as archive:
        archive.writestr("dogs/two.png", png())
        archive.writestr("../escape.png", png())
    rejects = Rejects(None)
    items = list(read_images(folder, rejects))
    assert [(i.id, i.categories) for i in items] == [("cats/one.png", ("cats",)), ("dogs/two.png", ("dogs",))]
    assert rejects.total == 5
    assert rejects.by_reason["is a symbolic link"] == 1
    assert rejects.by_reason["leads outside the archive"] == 1
    assert rejects.by_reason["has more than 50 million pixels"] == 1


def test_a_truncated_zip_and_an_empty_folder_are_clear_errors(tmp_path: Path) -> None:
    (tmp_path / "cut.zip").write_bytes(b"PK\x03\x04 cut")
    with pytest.raises(InvalidInputError, match="is no zip file"):
        list(read_images(tmp_path / "cut.zip", Rejects(None)))
    (tmp_path / "empty").mkdir()
    with pytest.raises(NotFoundError, match="holds no picture"):
        list(read_images(tmp_path / "empty", Rejects(None)))


def test_the_older_movielens_layout(tmp_path: Path) -> None:
    (tmp_path / "movies.dat").write_bytes("1::Les Misérables (1995)::Drama|War\n2::broken\n".encode("latin-1"))
    (tmp_path / "ratings.dat").write_bytes(b"1::1::5::978300760\n1::x y::nan::978300760\n")
    found, rejects = MovieLens.find(tmp_path), Rejects(None)
    items = list(found.read_items(rejects))
    assert [(i.title, i.categories) for i in items] == [("Les Misérables (1995)", ("Drama", "War"))]
    assert [e.value for e in found.read_events(rejects)] == [5.0]
    assert rejects.total == 2
    with pytest.raises(NotFoundError, match=r"neither movies\.csv"):
        MovieLens.find(tmp_path / "absent")


@pytest.mark.shared_data
def test_the_emoji_have_names_in_both_languages(shared_data: Path) -> None:
    rejects = Rejects(None)
    items = list(read_images(shared_data / "emoji", rejects))
    assert len(items) == 1581
    assert rejects.total == 0
    copyright_sign = next(i for i in items if "00a9" in i.id)
    assert "copyright" in copyright_sign.title
    assert "版权" in copyright_sign.title
    assert "版权" in copyright_sign.tags
