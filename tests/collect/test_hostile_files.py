"""Files made to break a reader: each gives its reason, what else is in them is read, and memory stays bounded."""

from __future__ import annotations

import codecs
import gzip
import io
import os
import resource
import zipfile
from pathlib import Path

import numpy as np
import pytest
import soundfile
from PIL import Image

from aigc.collect.audio_folder import NamePattern, read_audio
from aigc.collect.checkpoint import ImportCheckpoint
from aigc.collect.events_file import EventsFile
from aigc.collect.image_folder import read_images
from aigc.collect.items_file import ItemsFile
from aigc.collect.rejects import Rejects
from aigc.collect.text_file import PassagesFile
from aigc.collect.text_source import START, Position
from aigc.entities import Item
from aigc.errors import AigcError, InvalidInputError, NotFoundError, UnavailableError
from aigc.services.importer import Importer
from aigc.services.platform import Platform, PlatformOptions

HEADER = "id,title\n"


def items_of(path: Path, **options: str) -> tuple[list[str], dict[str, int]]:
    rejects = Rejects(None)
    return [i.title for i in ItemsFile(path, rejects, **options)], dict(rejects.by_reason)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("body", "titles", "reasons"),
    [
        ('1,"open\n2,b\n3,c\n', ["b", "c"], {"a quote is opened and not closed": 1}),
        ('1,5" disk\n2,b\n', ['5" disk', "b"], {}),
        ('1,"two\nlines"\n2,b\n', ["two\nlines", "b"], {}),
        ('1,"a ""quote"""\n2,b\n', ['a "quote"', "b"], {}),
        ('1,"a"b\n2,c\n', ["ab", "c"], {}),
        ("1,a\n\n\n2,b\n", ["a", "b"], {}),
        ("1,a\r\n2,b\r\n", ["a", "b"], {}),
        ("1,a\n2,b", ["a", "b"], {}),
        ("1,a\x00\n2,b\n", ["b"], {"holds a NUL character": 1}),
        ("-9223372036854775809,a\n", ["a"], {}),
        ("9" * 300 + ",a\n2,b\n", ["b"], {"id: is longer than 256 bytes": 1}),
        (" ,a\n2,b\n", ["b"], {"id: is empty": 1}),
        ("1\u202e,a\n2,b\n", ["b"], {"id: holds a control character": 1}),
        ("1,a,too,many\n2,b\n", ["b"], {"has another number of cells than the header": 1}),
        ("1," + '"' * 999 + "\n2,b\n", ["b"], {"a quote is opened and not closed": 1}),
    ],
)
def test_a_table_with_a_trap(tmp_path: Path, body: str, titles: list[str], reasons: dict[str, int]) -> None:
    path = tmp_path / "items.csv"
    path.write_text(HEADER + body, encoding="utf-8", newline="")
    assert items_of(path) == (titles, reasons)


def test_an_unclosed_quote_costs_one_line_of_a_hundred_thousand(tmp_path: Path) -> None:
    path = tmp_path / "items.csv"
    path.write_text(HEADER + '0,"open\n' + "".join(f"{n},t\n" for n in range(1, 100_000)))
    titles, reasons = items_of(path)
    assert len(titles) == 99_999
    assert reasons == {"a quote is opened and not closed": 1}


@pytest.mark.parametrize("encoding", ["gb18030", "big5", "utf-16", "utf-16-be", "utf-8-sig"])
def test_a_table_in_another_encoding_is_read_without_being_told(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "items.csv"
    titles = ["人工智能的工程和科學", "具有思維的機器", "什麼是語言"] * 10
    mark = codecs.BOM_UTF16_BE if encoding == "utf-16-be" else b""
    text = HEADER + "".join(f"{n},{t}\n" for n, t in enumerate(titles))
    path.write_bytes(mark + text.replace("能", "能").encode(encoding))
    assert items_of(path)[0] == titles


def test_gbk_said_to_be_utf8_refuses_the_rows_it_cannot_read(tmp_path: Path) -> None:
    path = tmp_path / "items.csv"
    path.write_bytes((HEADER + "1,plain\n2,中文\n").encode("gbk"))
    assert items_of(path, encoding="utf-8") == (["plain"], {"is not utf-8 (see --encoding)": 1})


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", b"", "is empty"),
        ("a.jsonl", b"", "holds no JSON object"),
        ("a.jsonl", b"[1]\nnull\n", "holds no JSON object"),
        ("a.csv", b"id,id\n1,2\n", "the column 'id' twice"),
        ("a.csv", b"x,y\n1,2\n", "no column recognised as id, title or text; it has: x, y"),
        ("a.parquet", b"PAR1 no parquet PAR1", "is no Parquet file"),
        ("a.csv.gz", b"no gzip", "is no gzip file"),
        ("a.exe", b"MZ", "has the extension '.exe'"),
    ],
)
def test_a_file_that_is_none_is_one_clear_error(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises((InvalidInputError, UnavailableError), match=message):
        list(ItemsFile(path, Rejects(None)))


def test_a_cut_off_gzip_gives_what_it_has(tmp_path: Path) -> None:
    path = tmp_path / "items.csv.gz"
    body = HEADER + "".join(f"{n},{os.urandom(20).hex()}\n" for n in range(20_000))
    path.write_bytes(gzip.compress(body.encode())[:200_000])
    titles, reasons = items_of(path)
    assert 1000 < len(titles) < 20_000
    assert "the file ends early or is damaged here; the rest is lost" in reasons


def test_a_gzip_bomb_takes_no_memory(tmp_path: Path) -> None:
    path = tmp_path / "items.csv.gz"
    with gzip.open(path, "wb", compresslevel=9) as file:
        file.write(HEADER.encode() + b"1,a\n")
        for _ in range(150):
            file.write(b"x" * 1_000_000)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    titles, reasons = items_of(path)
    assert titles == ["a"]
    assert "line is longer than 1 MB" in reasons
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000


def test_a_file_that_grows_while_it_is_read_is_read_to_its_first_end(tmp_path: Path) -> None:
    path = tmp_path / "items.csv"
    path.write_text(HEADER + "1,a\n2,b\n")
    source = iter(ItemsFile(path, Rejects(None)))
    first = next(source)
    with path.open("a") as file:
        file.write("3,c\n" * 1000)
    assert [first.title, *(i.title for i in source)] == ["a", "b"]


def wav(seconds: float = 0.1) -> bytes:
    target = io.BytesIO()
    soundfile.write(target, np.full(int(8000 * seconds), 0.1), 8000, format="WAV")
    return target.getvalue()


def test_an_archive_with_traps_gives_the_good_file_and_the_reasons(tmp_path: Path) -> None:
    path = tmp_path / "sounds.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("7_theo_0.wav", wav())
        archive.writestr("../8_theo_0.wav", wav())
        archive.writestr("/9_theo_0.wav", wav())
        archive.writestr("1_theo_0.wav", b"RIFF")
        archive.writestr("2_theo_0.wav", wav(0))
        archive.writestr("3.wav", wav())
        archive.writestr("big_x_0.wav", bytes(17_000_000))
        link = zipfile.ZipInfo("4_theo_0.wav")
        link.external_attr = 0o120777 << 16
        archive.writestr(link, "/etc/passwd")
    rejects = Rejects(None)
    found = list(read_audio(path, rejects, pattern=NamePattern("{category}_{author}_{}")))
    assert [(i.id, i.categories, i.author) for i in found] == [("7_theo_0.wav", ("7",), "theo")]
    assert dict(rejects.by_reason) == {
        "leads outside the archive": 2,
        "does not decode": 1,
        "has no samples": 1,
        "name: does not fit the pattern {category}_{author}_{}": 1,
        "is larger than 16 MB": 1,
        "is a symbolic link": 1,
    }


@pytest.mark.parametrize("pattern", ["plain", "{category}_{category}", "{colour}", "{}"])
def test_a_pattern_without_a_meaning_is_named(pattern: str) -> None:
    with pytest.raises(InvalidInputError, match="--name-pattern"):
        NamePattern(pattern)


def test_links_in_a_folder_are_refused_and_an_empty_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="holds no recording"):
        list(read_audio(tmp_path, Rejects(None)))
    (tmp_path / "secret").write_bytes(wav())
    (tmp_path / "a.wav").symlink_to(tmp_path / "secret")
    (tmp_path / "b.wav").write_bytes(wav())
    rejects = Rejects(None)
    assert [i.id for i in read_audio(tmp_path, rejects)] == ["b.wav"]
    assert dict(rejects.by_reason) == {"is a symbolic link": 1}


def test_one_broken_archive_among_others_harms_no_other(tmp_path: Path) -> None:
    target = io.BytesIO()
    Image.new("RGB", (4, 4), "red").save(target, "PNG")
    (tmp_path / "a.zip").write_bytes(b"PK no archive")
    (tmp_path / "b.png").write_bytes(target.getvalue())
    rejects = Rejects(None)
    assert [i.id for i in read_images(tmp_path, rejects)] == ["b.png"]
    assert rejects.total == 1


def test_passages_are_split_where_they_have_no_end(tmp_path: Path) -> None:
    path = tmp_path / "play.txt"
    path.write_text("one\ntwo\n\n\nthree\n" + "x" * 500_000 + "\n")
    found = list(PassagesFile(path, Rejects(None)))
    assert [i.id for i in found] == ["play-000001", "play-000002"]
    assert found[0].text == "one\ntwo"


class CutError(AigcError):
    pass


def test_an_import_that_was_cut_off_goes_on_and_ends_with_the_same_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("aigc.services.importer._WAITING", 10)
    path = tmp_path / "events.csv"
    rows = [f"u{n % 50},i{n % 30},view,{1_700_000_000 + n}" + ("" if n % 500 else "x") for n in range(40_000)]
    path.write_text("user_id,item_id,type,timestamp\n" + "\n".join(rows) + "\n")
    refused = tmp_path / "rejects.csv"
    platform = Platform.open(tmp_path / "home", PlatformOptions(serving=False))

    def run(stop_after: int) -> tuple[int, int, Position]:
        checkpoint = ImportCheckpoint(tmp_path / "imports", path, {}, clock=iter(range(10_000)).__next__)
        start = checkpoint.position
        rejects = Rejects(refused, resume_at=start.line)
        source = EventsFile(path, rejects, start=start)

        class Ending:
            position = property(lambda _: source.position)

            def __iter__(self):  # type: ignore[no-untyped-def]
                for n, event in enumerate(source):
                    if n == stop_after:
                        raise CutError("killed")
                    yield event

        importer = Importer(platform.catalog, platform.behaviour, rejects, checkpoint=checkpoint)
        try:
            count = importer.events(Ending())
            return count.accepted + count.known, rejects.total, start
        finally:
            rejects.close()

    with pytest.raises(CutError):
        run(stop_after=30_250)
    total, refusals, start = run(stop_after=10**9)
    assert total <= 40_000 - 80
    assert start.line > 1
    assert refusals == 80
    assert len(refused.read_text().splitlines()) == 81
    assert platform.store.counts().events == 40_000 - 80
    assert not list((tmp_path / "imports").iterdir())
    assert run(10**9)[2] == START
    assert platform.store.counts().events == 40_000 - 80
    platform.close()


def test_another_file_under_the_same_name_is_read_from_its_start(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("x" * 100)
    first = ImportCheckpoint(tmp_path / "imports", path, {})
    first.note(Position(5, 50), {"accepted": 5}, now=True)
    assert ImportCheckpoint(tmp_path / "imports", path, {}).position == Position(5, 50)
    assert not ImportCheckpoint(tmp_path / "imports", path, {"encoding": "big5"}).resumes
    path.write_text("y" * 100)
    assert not ImportCheckpoint(tmp_path / "imports", path, {}).resumes


def test_parquet_is_read_and_goes_on(tmp_path: Path) -> None:
    arrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    path = tmp_path / "items.parquet"
    table = arrow.table({"id": list(range(25_000)), "title": ["t"] * 25_000, "tags": [["a", "b"]] * 25_000})
    parquet.write_table(table, path)
    found = list(ItemsFile(path, Rejects(None)))
    assert found[7] == Item("7", title="t", tags=("a", "b"))
    assert [i.id for i in ItemsFile(path, Rejects(None), start=Position(24_999, 24_999))] == ["24999"]
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(InvalidInputError, match="is no Parquet file"):
        ItemsFile(path, Rejects(None))
