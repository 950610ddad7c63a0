"""What breaks in the field ends in one clear message, and what was serving goes on serving."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from aigc.entities import Event, Item
from aigc.errors import ConflictError, CorruptDataError, InvalidInputError, ResourceExhaustedError
from aigc.recommend.request import RecommendRequest, SearchRequest
from aigc.services.platform import Platform, PlatformOptions
from aigc.services.watcher import Watcher
from tests.faults.kill import kill_callers, kill_rounds
from tests.faults.kill_training import kill_server
from tests.faults.process import AIGC, ServerProcess


def filled(home: Path) -> Platform:
    platform = Platform.open(home)
    platform.catalog.upsert([Item(f"i{n}", title=f"word{n % 5} thing", categories=("c",)) for n in range(30)])
    platform.behaviour.record([Event(f"e{n}", f"u{n % 6}", f"i{n % 30}", "like", 1000 + n) for n in range(90)])
    return platform


def built(platform: Platform) -> str:
    snapshot_id = [step.snapshot_id for step in platform.build()][-1]
    platform.live.publish()
    return snapshot_id


def test_every_acknowledged_event_survives_sigkill_and_none_is_doubled(tmp_path: Path) -> None:
    tally = kill_rounds(tmp_path / "home", rounds=3, events=1200, batch=20, seed=5)
    assert (tally.acknowledged, tally.lost, tally.twice) == (1200, 0, 0)


def test_events_that_share_a_commit_survive_sigkill_once_they_are_acknowledged(tmp_path: Path) -> None:
    tally = kill_callers(tmp_path / "home", rounds=2, callers=8, seed=3)
    assert tally.acknowledged > 100
    assert (tally.lost, tally.twice) == (0, 0)


@pytest.fixture
def platform(tmp_path: Path) -> Iterator[Platform]:
    platform = filled(tmp_path / "home")
    yield platform
    platform.close()


@pytest.mark.parametrize("damage", ["flip", "truncate", "remove", "newer", "manifest"])
def test_a_damaged_snapshot_is_refused_by_name_and_the_old_one_serves_on(platform: Platform, damage: str) -> None:
    good = built(platform)
    bad = [step.snapshot_id for step in platform.build()][-1]
    folder = platform.snapshots.root / bad
    victim = folder / "item_embeddings.npy"
    if damage == "flip":
        data = bytearray(victim.read_bytes())
        data[-3] ^= 1
        victim.write_bytes(data)
    elif damage == "truncate":
        os.truncate(victim, victim.stat().st_size - 8)
    elif damage == "remove":
        victim.unlink()
    else:
        victim = folder / "manifest.json"
        text = victim.read_text()
        victim.write_text(json.dumps(json.loads(text) | {"format": 99}) if damage == "newer" else text[:100])
    with pytest.raises(CorruptDataError, match=victim.name) as error:
        platform.live.publish(bad)
    assert "aigc train" in str(error.value)
    assert platform.live.serving.snapshot_id == good
    assert platform.recommender.recommend(RecommendRequest("u1", 5)).snapshot == good
    watcher = Watcher(platform.live, platform.snapshots, platform.strategies, poll_ms=60_000)
    watcher.look()
    assert victim.name in watcher.problems()[0]
    watcher.close()


def test_a_start_with_a_damaged_snapshot_serves_the_one_before_and_says_so(tmp_path: Path) -> None:
    first = filled(tmp_path / "home")
    good, bad = built(first), built(first)
    first.close()
    (first.snapshots.root / bad / "fresh_order.npy").unlink()
    second = Platform.open(tmp_path / "home")
    assert second.live.serving.snapshot_id == good
    assert "fresh_order.npy" in second.problems()[0]
    second.close()


def test_a_new_snapshot_and_an_edited_strategy_are_picked_up_and_a_broken_one_is_not(platform: Platform) -> None:
    built(platform)
    folder = platform.home / "strategies"
    folder.mkdir()
    watcher = Watcher(platform.live, platform.snapshots, platform.strategies, poll_ms=60_000)
    newer = [step.snapshot_id for step in platform.build()][-1]
    (folder / "mine.toml").write_text('[[sources]]\nkind = "popular"\n')
    watcher.look()
    assert platform.live.serving.snapshot_id == newer
    assert platform.recommender.recommend(RecommendRequest("u1", 3, strategy="mine")).strategy == "mine"
    (folder / "mine.toml").write_text('[[sources]]\nkind = "popluar"\n')
    watcher.look()
    assert "mine.toml" in watcher.problems()[0]
    assert "popluar" in watcher.problems()[0]
    assert platform.recommender.recommend(RecommendRequest("u1", 3, strategy="mine")).items
    watcher.close()


def test_an_invalid_strategy_file_stops_a_start_with_its_name(tmp_path: Path) -> None:
    (tmp_path / "strategies").mkdir()
    (tmp_path / "strategies" / "bad.toml").write_text("[[sources]]\nkind = 'popular'\nweight = -1\n")
    with pytest.raises(InvalidInputError, match=r"bad\.toml: sources\[0\]\.weight is -1"):
        Platform.open(tmp_path)


def test_a_second_process_is_told_who_holds_the_store(tmp_path: Path) -> None:
    filled(tmp_path / "home").close()
    with ServerProcess(tmp_path / "home") as server:
        done = subprocess.run(
            [AIGC, "import", "items", str(tmp_path), "--home", str(tmp_path / "home")],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 2
        assert f"process {server.process.pid}" in done.stderr
        assert "--server HOST:PORT" in done.stderr
        assert done.stderr.count("\n") == 1, "one line, no stack"
        # Reading goes on beside it.
        seen = subprocess.run(
            [AIGC, "recommend", "--user", "u1", "--json", "--home", str(tmp_path / "home")],
            capture_output=True,
            text=True,
            check=True,
        )
        assert len(json.loads(seen.stdout)["items"]) == 10


def test_a_wrong_dimension_is_named(platform: Platform) -> None:
    built(platform)
    with pytest.raises(InvalidInputError, match="vector has 3 numbers; this catalogue's embeddings have"):
        platform.recommender.search(SearchRequest(vector=(1.0, 2.0, 3.0)))
    manifest = platform.live.serving.manifest
    assert manifest is not None
    opened = platform.snapshots.open()
    arrays = dict(opened.arrays) | {"item_embeddings": np.zeros((30, 3), np.float32)}
    wrong = replace(manifest, id="99999999T000000-wrong", files={})
    platform.snapshots.write(wrong, arrays, lambda p: None)
    with pytest.raises(CorruptDataError, match="'item_embeddings' has 90 entries"):
        platform.live.publish(wrong.id)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 4 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(folder)]
    if (
        os.geteuid() != 0
        or not shutil.which("mount")
        or subprocess.run(command, check=False, capture_output=True).returncode
    ):
        pytest.skip("needs leave to mount a small tmpfs (root)")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_full_disk_is_one_clear_error_and_nothing_is_lost(small_disk: Path) -> None:
    home = small_disk / "home"
    platform = filled(home)
    good = built(platform)
    before = platform.store.counts()
    (small_disk / "ballast").write_bytes(b"x" * max(0, shutil.disk_usage(small_disk).free - 300_000))
    with pytest.raises(ResourceExhaustedError) as error:
        for round_number in range(100):
            platform.behaviour.record(
                [Event(f"r{round_number}-{n}", "u", "i1", "view", 5, text="x" * 500) for n in range(50)]
            )
    assert error.value.reason == "DISK_FULL"
    assert str(home) in str(error.value)
    stored = platform.store.counts().events
    assert (stored - before.events) % 50 == 0, "a refused batch leaves nothing behind"
    assert platform.recommender.recommend(RecommendRequest("u1", 5)).snapshot == good
    with pytest.raises(ResourceExhaustedError, match="was not written"):
        (small_disk / "more").write_bytes(b"x" * max(0, shutil.disk_usage(small_disk).free - 20_000))
        list(platform.build())
    assert platform.snapshots.current_id() == good
    assert not list(platform.snapshots.root.glob(".partial*"))
    (small_disk / "ballast").unlink()
    (small_disk / "more").unlink(missing_ok=True)
    assert platform.behaviour.record([Event("after", "u", "i1", "view", 5)]) == [True]
    platform.close()


def test_a_full_disk_fails_each_call_of_a_batch_and_keeps_none_of_it(small_disk: Path) -> None:
    platform = filled(small_disk / "home")
    built(platform)
    before = platform.store.counts().events
    (small_disk / "ballast").write_bytes(b"x" * max(0, shutil.disk_usage(small_disk).free - 100_000))
    calls = [[Event(f"r{i}", "u1", f"i{i % 30}", "view", 5, text="x" * 20_000)] for i in range(40)]
    told = platform.behaviour.submit_together([*calls, [Event("w", "u1", "i1", "stare", 5)], []]).result(timeout=60)
    assert [getattr(error, "reason", "") for error in told[:40]] == ["DISK_FULL"] * 40
    assert isinstance(told[40], InvalidInputError)
    assert platform.store.counts().events == before
    answer = platform.recommender.recommend(RecommendRequest("u1", 30))
    assert "i29" in {i.item_id for i in answer.items}, "what was refused does not count"
    (small_disk / "ballast").unlink()
    again = platform.behaviour.submit_together([c[:1] for c in calls[:5]]).result(timeout=60)
    assert again == [[True]] * 5
    platform.close()


def test_a_locked_store_opens_for_reading_only(tmp_path: Path) -> None:
    platform = filled(tmp_path)
    with pytest.raises(ConflictError, match="is in use by process"):
        Platform.open(tmp_path)
    reader = Platform.open(tmp_path, PlatformOptions(read_only=True))
    assert reader.store.counts().items == 30
    with pytest.raises(ConflictError, match="opened for reading only"):
        reader.catalog.upsert([Item("x")])
    reader.close()
    platform.close()


@pytest.mark.slow
def test_a_training_job_of_a_killed_server_ends_with_the_weights_of_the_uninterrupted_run(tmp_path: Path) -> None:
    outcome = kill_server(tmp_path, kills=1, steps=60, seed=1)
    assert outcome.holds
    assert outcome.resumed == 1
