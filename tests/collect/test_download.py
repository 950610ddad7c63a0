"""A download ends whole and verified or not at all, whatever the server does."""

from __future__ import annotations

import hashlib
import io
import json
import os
import random
import shlex
import signal
import stat
import struct
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from aigc.collect.datasets import find_dataset, read_datasets
from aigc.collect.download import download
from aigc.collect.unpack import unpack
from aigc.errors import (
    AigcError,
    CorruptDataError,
    InvalidInputError,
    NotFoundError,
    ResourceExhaustedError,
    UnavailableError,
)
from aigc.services.platform import Platform
from aigc_server.cli.datasets import datasets_group
from aigc_server.cli.importing import import_group
from tests.collect.http_server import Reply, Request, Scripted, scripted_server

BODY = random.Random(1).randbytes(300_000)
OTHER = random.Random(2).randbytes(300_000)
Fetch = Callable[..., bool]


def digest(body: bytes) -> str:
    return f"sha256:{hashlib.sha256(body).hexdigest()}"


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Scripted]:
    monkeypatch.setenv("no_proxy", "*")
    with scripted_server() as script:
        yield script


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "set" / "file.bin"


@pytest.fixture
def waits() -> list[float]:
    return []


@pytest.fixture
def fetch(server: Scripted, target: Path, waits: list[float]) -> Fetch:
    """Download what the replies give, without a pause between attempts."""

    def run(*replies: Reply, size: int = len(BODY), body: bytes = BODY, **options: Any) -> bool:
        url = server.serve("/file.bin", *replies) if replies else f"{server.root}/file.bin"
        return download(url, target, size=size, digest=digest(body), wait=waits.append, **options)

    return run


def left(target: Path) -> list[str]:
    return sorted(p.name for p in target.parent.iterdir()) if target.parent.exists() else []


def test_a_file_arrives_whole_with_progress_and_without_traces(fetch: Fetch, target: Path) -> None:
    seen: list[tuple[int, int]] = []
    assert fetch(Reply(BODY), progress=lambda done, total: seen.append((done, total)))
    assert target.read_bytes() == BODY
    assert left(target) == ["file.bin"]
    assert seen[-1] == (len(BODY), len(BODY))
    assert seen == sorted(seen)


def test_a_file_that_is_there_with_the_right_checksum_is_not_asked_for(
    fetch: Fetch, server: Scripted, target: Path
) -> None:
    target.parent.mkdir()
    target.write_bytes(BODY)
    assert not fetch(Reply(OTHER))
    assert server.requests == []


def test_a_file_that_is_there_with_another_checksum_is_replaced(fetch: Fetch, target: Path) -> None:
    target.parent.mkdir()
    target.write_bytes(OTHER)
    assert fetch(Reply(BODY))
    assert target.read_bytes() == BODY


@pytest.mark.parametrize("cut", [0, 1, 65_536, 100_001, 299_999])
def test_a_cut_connection_goes_on_at_the_byte_where_it_ended(
    fetch: Fetch, server: Scripted, target: Path, cut: int
) -> None:
    assert fetch(Reply(BODY, cut=cut), Reply(BODY))
    assert target.read_bytes() == BODY
    assert server.requests[1] == Request("/file.bin", f"bytes={cut}-" if cut else "", '"v1"' if cut else "")


def test_two_cuts_go_on_twice(fetch: Fetch, server: Scripted, target: Path) -> None:
    assert fetch(Reply(BODY, cut=1000), Reply(BODY, cut=500), Reply(BODY))
    assert server.ranges == ["", "bytes=1000-", "bytes=1500-"]
    assert target.read_bytes() == BODY


def test_the_date_stands_in_for_an_etag(fetch: Fetch, server: Scripted, target: Path) -> None:
    dated = {"etag": 'W/"weak"', "modified": "Wed, 21 Oct 2015 07:28:00 GMT"}
    served = [Reply(BODY, cut=1000, **dated), Reply(BODY, etag="", modified=dated["modified"])]
    assert fetch(*served)
    assert server.requests[1].if_range == dated["modified"]
    assert server.ranges == ["", "bytes=1000-"]
    assert target.read_bytes() == BODY


def test_without_a_version_a_cut_download_starts_over(fetch: Fetch, server: Scripted, target: Path) -> None:
    assert fetch(Reply(BODY, cut=1000, etag='W/"weak"'), Reply(BODY, etag=""))
    assert server.ranges == ["", ""]
    assert target.read_bytes() == BODY


def test_a_file_that_changes_between_two_requests_is_fetched_anew(fetch: Fetch, server: Scripted, target: Path) -> None:
    assert fetch(Reply(OTHER, cut=100_000), Reply(BODY, etag='"v2"'))
    assert server.requests[1].if_range == '"v1"'
    assert target.read_bytes() == BODY


def test_a_changed_file_is_noticed_even_if_the_server_ignores_if_range(
    fetch: Fetch, server: Scripted, target: Path
) -> None:
    assert fetch(Reply(OTHER, cut=100_000), Reply(BODY, etag='"v2"', if_range=False))
    assert server.ranges == ["", "bytes=100000-", ""]
    assert target.read_bytes() == BODY


def test_a_server_that_ignores_range_makes_it_start_over(fetch: Fetch, server: Scripted, target: Path) -> None:
    assert fetch(Reply(BODY, cut=100_000), Reply(BODY, ranges=False))
    assert server.ranges == ["", "bytes=100000-"]
    assert target.read_bytes() == BODY


@pytest.mark.parametrize(
    "wrong", ["bytes 0-299999/300000", "bytes 1000-1999/300000", "bytes 1000-299999/*", "nonsense"]
)
def test_a_wrong_content_range_makes_it_start_over(fetch: Fetch, server: Scripted, target: Path, wrong: str) -> None:
    assert fetch(Reply(BODY, cut=1000), Reply(BODY, content_range=wrong), Reply(BODY))
    assert server.ranges == ["", "bytes=1000-", ""]
    assert target.read_bytes() == BODY


def test_a_part_that_nobody_asked_for_is_not_taken(fetch: Fetch, target: Path) -> None:
    part = Reply(BODY[1000:], status=206, content_range="bytes 1000-299999/300000")
    assert fetch(part, Reply(BODY))
    assert target.read_bytes() == BODY


def test_a_killed_process_leaves_what_the_next_one_goes_on_with(fetch: Fetch, server: Scripted, target: Path) -> None:
    url = server.serve("/file.bin", Reply(BODY))
    program = (
        "import os, signal, sys; from pathlib import Path; from aigc.collect.download import download\n"
        "def die(done, total):\n    if done > 100_000: os.kill(os.getpid(), signal.SIGKILL)\n"
        f"download({url!r}, Path({str(target)!r}), size=300000, digest={digest(BODY)!r}, progress=die)"
    )
    died = subprocess.run([sys.executable, "-c", program], check=False)
    assert died.returncode == -signal.SIGKILL
    kept = target.with_name("file.bin.part").stat().st_size
    assert 100_000 < kept < len(BODY)
    assert not target.exists()
    assert fetch()
    assert server.ranges == ["", f"bytes={kept}-"]
    assert target.read_bytes() == BODY


def test_a_process_killed_before_the_last_step_needs_no_further_byte(
    fetch: Fetch, server: Scripted, target: Path
) -> None:
    target.parent.mkdir()
    target.with_name("file.bin.part").write_bytes(BODY)
    note = {"url": f"{server.root}/file.bin", "version": '"v1"', "total": len(BODY)}
    target.with_name("file.bin.part.json").write_text(json.dumps(note))
    assert fetch()
    assert server.requests == []
    assert left(target) == ["file.bin"]


@pytest.mark.parametrize("note", ["", "[]", "{", '{"url": "http://elsewhere/x", "version": "a", "total": 1}'])
def test_bytes_of_unknown_origin_are_not_gone_on_with(fetch: Fetch, server: Scripted, target: Path, note: str) -> None:
    target.parent.mkdir()
    target.with_name("file.bin.part").write_bytes(OTHER[:5000])
    target.with_name("file.bin.part.json").write_text(note)
    assert fetch(Reply(BODY))
    assert server.ranges == [""]
    assert target.read_bytes() == BODY


def test_a_part_longer_than_the_file_is_dropped(fetch: Fetch, server: Scripted, target: Path) -> None:
    with pytest.raises(UnavailableError):
        fetch(Reply(BODY, cut=1000), attempts=1)
    with target.with_name("file.bin.part").open("ab") as file:
        file.write(bytes(len(BODY)))
    assert fetch(Reply(BODY))
    assert server.ranges[1:] == ["bytes=301000-", ""]
    assert target.read_bytes() == BODY


@pytest.mark.parametrize("length", [299_999, 300_001, 7])
def test_a_declared_length_that_is_not_the_known_one_ends_it_at_once(
    fetch: Fetch, server: Scripted, target: Path, length: int
) -> None:
    with pytest.raises(CorruptDataError, match=rf"{length:,} bytes where 300,000 are expected"):
        fetch(Reply(BODY, length=length))
    assert len(server.requests) == 1
    assert left(target) == []


def test_a_missing_length_is_made_up_for_by_the_known_one(fetch: Fetch, server: Scripted, target: Path) -> None:
    assert fetch(Reply(BODY, length="", cut=1000), Reply(BODY, length=""))
    assert server.ranges == ["", "bytes=1000-"]
    assert target.read_bytes() == BODY


def test_neither_length_is_needed_when_the_checksum_matches(fetch: Fetch, target: Path) -> None:
    assert fetch(Reply(BODY, length=""), size=0)
    assert target.read_bytes() == BODY


@pytest.mark.parametrize("reply", [Reply(BODY, length=299_999), Reply(BODY, length="", cut=1000), Reply(OTHER)])
def test_a_wrong_checksum_deletes_the_file_and_says_so(fetch: Fetch, target: Path, reply: Reply) -> None:
    with pytest.raises(CorruptDataError, match=r"file\.bin.*deleted") as caught:
        fetch(reply, size=0)
    assert caught.value.metadata["expected"] == digest(BODY)
    assert caught.value.metadata["got"] in caught.value.message
    assert left(target) == []


def test_a_length_that_never_comes_ends_after_the_attempts(
    fetch: Fetch, server: Scripted, target: Path, waits: list[float]
) -> None:
    with pytest.raises(UnavailableError, match="5 attempts failed"):
        fetch(Reply(BODY, length=400_000, ranges=False), size=0)
    assert len(server.requests) == 5
    assert waits == [1, 2, 4, 8]
    assert not target.exists()


def test_more_bytes_than_the_limit_are_not_taken(fetch: Fetch, server: Scripted, target: Path) -> None:
    for reply in (Reply(BODY), Reply(BODY, length="")):
        with pytest.raises(ResourceExhaustedError, match="more than 200,000 bytes"):
            fetch(reply, size=0, limit=200_000)
        assert left(target) == []
    assert len(server.requests) == 2


def test_more_bytes_than_known_are_not_taken(fetch: Fetch, target: Path) -> None:
    with pytest.raises(CorruptDataError):
        fetch(Reply(BODY, length=""), size=1000)
    assert left(target) == []


def test_two_failures_of_the_server_are_waited_out(fetch: Fetch, target: Path, waits: list[float]) -> None:
    assert fetch(Reply(status=500), Reply(status=503), Reply(BODY))
    assert waits == [1, 2]
    assert target.read_bytes() == BODY


@pytest.mark.parametrize(
    ("reply", "error", "text"),
    [
        (Reply(status=404), NotFoundError, "does not exist"),
        (Reply(status=403), UnavailableError, "HTTP 403"),
        (Reply(status=302, location="/file.bin"), UnavailableError, "circle"),
        (Reply(status=302, location="ftp://127.0.0.1/file.bin"), InvalidInputError, "no URL of http"),
        (Reply(status=302, location="file:///etc/passwd"), UnavailableError, "away from http"),
    ],
)
def test_a_refusal_is_final(fetch: Fetch, waits: list[float], reply: Reply, error: type[AigcError], text: str) -> None:
    with pytest.raises(error, match=text):
        fetch(reply)
    assert waits == []


def test_a_redirect_is_followed_also_by_the_request_for_the_rest(fetch: Fetch, server: Scripted, target: Path) -> None:
    server.serve("/mirror", Reply(BODY, cut=1000), Reply(BODY))
    assert fetch(Reply(status=302, location="/mirror"))
    assert [(r.path, r.range) for r in server.requests][2:] == [
        ("/file.bin", "bytes=1000-"),
        ("/mirror", "bytes=1000-"),
    ]
    assert target.read_bytes() == BODY


@pytest.mark.parametrize(
    "url", ["file:///etc/passwd", "ftp://host/x", "data:,x", "x", "http://", "http://[", "http://a b/"]
)
def test_other_schemes_are_refused(target: Path, url: str) -> None:
    with pytest.raises(InvalidInputError, match="no URL of http or https"):
        download(url, target, size=0, digest=digest(b""))


def test_a_port_where_nobody_listens_is_named(target: Path) -> None:
    with scripted_server() as ended:
        url = f"{ended.root}/x"
    with pytest.raises(UnavailableError, match=r"http://127.*2 attempts failed"):
        download(url, target, size=0, digest=digest(b""), attempts=2, wait=lambda _: None)


def test_a_full_disk_is_named(fetch: Fetch, target: Path) -> None:
    target.parent.mkdir()
    target.with_name("file.bin.part").symlink_to("/dev/full")
    with pytest.raises(ResourceExhaustedError, match=r"disk is full.*file\.bin\.part"):
        fetch(Reply(BODY))


def test_a_target_that_cannot_be_written_is_named(fetch: Fetch, target: Path) -> None:
    target.parent.write_text("a file where the folder should be")
    with pytest.raises(InvalidInputError, match="cannot be written"):
        fetch(Reply(BODY))


def packed(path: Path, *entries: tuple[str | zipfile.ZipInfo, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in entries:
            archive.writestr(name, data)
    return path


def test_an_archive_is_unpacked_and_unpacked_again(tmp_path: Path) -> None:
    archive = packed(tmp_path / "a.zip", ("ml/movies.csv", b"x"), ("ml/deep/", b""), ("ml/deep/y", b"yy"))
    for _ in range(2):
        files = unpack(archive, tmp_path / "to")
        assert [p.relative_to(tmp_path).as_posix() for p in files] == ["to/ml/movies.csv", "to/ml/deep/y"]
    assert files[1].read_bytes() == b"yy"


def link() -> zipfile.ZipInfo:
    info = zipfile.ZipInfo("link")
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    return info


@pytest.mark.parametrize("name", ["../x", "a/../../x", "/etc/x", "C:/x", "..\\x", link()], ids=str)
def test_an_archive_that_leads_outside_is_not_unpacked_at_all(tmp_path: Path, name: str | zipfile.ZipInfo) -> None:
    archive = packed(tmp_path / "a.zip", ("good", b"x"), (name, b"/etc/passwd"))
    with pytest.raises(CorruptDataError, match="is not unpacked"):
        unpack(archive, tmp_path / "to")
    assert [p.name for p in tmp_path.rglob("*")] == ["a.zip"]


def test_an_archive_that_grows_too_large_is_not_unpacked(tmp_path: Path) -> None:
    archive = packed(tmp_path / "a.zip", ("zeros", bytes(1_000_000)))
    with pytest.raises(ResourceExhaustedError, match="1,000,000 bytes"):
        unpack(archive, tmp_path / "to", limit=999_999)


def test_a_damaged_archive_is_named(tmp_path: Path) -> None:
    archive = packed(tmp_path / "a.zip", ("x", BODY))
    archive.write_bytes(archive.read_bytes()[:1000] + b"damaged" + archive.read_bytes()[1007:])
    with pytest.raises(CorruptDataError, match="cannot be unpacked"):
        unpack(archive, tmp_path / "to")
    assert list((tmp_path / "to").iterdir()) == []
    archive.write_bytes(b"no zip")
    with pytest.raises(CorruptDataError, match="cannot be unpacked"):
        unpack(archive, tmp_path / "to")


def test_two_sets_of_one_layout_do_not_make_the_same_ids(tmp_path: Path) -> None:
    (tmp_path / "train-images-idx3-ubyte").write_bytes(struct.pack(">4i", 0x803, 2, 1, 1) + b"\x00\xff")
    ids = []
    for name in ("mnist", "fashion-mnist"):
        command = shlex.split(find_dataset(name).import_command(tmp_path))
        home = tmp_path / name
        arguments = [*command[2:], "--home", str(home), "--rejects", str(tmp_path / "rejects.csv")]
        result = CliRunner().invoke(import_group, arguments)
        assert result.exit_code == 0, result.output
        platform = Platform.open(home)
        ids.append({item.id for item in platform.catalog.list().items})
        platform.close()
    assert [len(found) for found in ids] == [2, 2]
    assert not ids[0] & ids[1]


def test_the_registry_is_whole_and_its_import_commands_exist() -> None:
    sets = read_datasets()
    assert {"movielens-1m", "mnist", "tinyshakespeare"} <= {entry.name for entry in sets}
    for entry in sets:
        assert entry.bytes > 0
        command = entry.import_command(Path("a b")).split()
        assert command[2] in import_group.commands
    assert find_dataset("movielens-1m").import_command(Path("a b")) == "aigc import movielens 'a b'/ml-1m"


def test_an_unknown_set_is_answered_with_the_nearest_name() -> None:
    with pytest.raises(NotFoundError, match=r"'movielens1m'; did you mean movielens-1m\? The names are movielens-1m,"):
        find_dataset("movielens1m")


def test_the_published_checksum_is_that_of_the_real_file(shared_data: Path) -> None:
    file = find_dataset("tinyshakespeare").files[0]
    data = (shared_data / "tinyshakespeare" / "input.txt").read_bytes()
    assert (len(data), digest(data)) == (file.size, file.digest)


@pytest.mark.parametrize(
    ("files", "text"),
    [
        ("[]", "is missing"),
        ('[{url = "http://h/x", size = 1}]', "has no checksum"),
        ('[{url = "http://h/x", size = 1, md5 = "A"}]', "has no checksum"),
        ('[{url = "http://h/..", size = 1}]', "file name"),
        ('[{url = "http://h/x", size = -1}]', "has the size -1"),
        ("[1", "no registry in TOML"),
    ],
)
def test_a_faulty_registry_is_named_with_the_field(tmp_path: Path, files: str, text: str) -> None:
    path = tmp_path / "sets.toml"
    path.write_text(
        f'[s]\ntitle = ""\ndescription = ""\nlicence = ""\nlicence_url = ""\nimport = ""\nfiles = {files}\n'
    )
    with pytest.raises(InvalidInputError, match=text):
        read_datasets(path)


@pytest.fixture
def registry(server: Scripted, tmp_path: Path) -> Path:
    """One set, a zip of MovieLens' layout, on the local server."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("ml/movies.csv", "movieId,title,genres\n1,Heat (1995),Crime\n")
    data = buffer.getvalue()
    url = server.serve("/ml.zip", Reply(data))
    path = tmp_path / "sets.toml"
    path.write_text(
        '[small]\ntitle = "Small"\ndescription = "one movie"\nlicence = "CC0"\nlicence_url = "https://example.org/cc0"\n'
        'import = "aigc import movielens {folder}/ml"\n'
        f'files = [{{ url = "{url}", size = {len(data)}, sha256 = "{hashlib.sha256(data).hexdigest()}" }}]\n'
    )
    return path


def run(*arguments: str | os.PathLike[str]) -> str:
    return CliRunner().invoke(datasets_group, [str(a) for a in arguments], catch_exceptions=False).output


def test_get_says_the_licence_unpacks_and_names_the_next_command(
    registry: Path, server: Scripted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    output = run("get", "small", "--registry", registry)
    assert "licence: CC0; https://example.org/cc0" in output
    assert output.endswith("next: aigc import movielens datasets/small/ml\n")
    assert (tmp_path / "datasets/small/ml/movies.csv").read_text().startswith("movieId")
    assert "there already" in run("get", "small", "--registry", registry)
    assert len(server.requests) == 1


def test_get_puts_the_set_where_it_is_told(registry: Path, tmp_path: Path) -> None:
    output = run("get", "small", "--registry", registry, "--to", tmp_path / "my data")
    assert f"next: aigc import movielens '{tmp_path}/my data'/ml" in output


def test_list_is_a_table_or_json(registry: Path) -> None:
    assert "MovieLens 25M" in run("list")
    assert "262.0 MB" in run("list")
    listed = json.loads(run("list", "--json", "--registry", registry))
    assert [(entry["name"], entry["licence"]) for entry in listed] == [("small", "CC0")]
