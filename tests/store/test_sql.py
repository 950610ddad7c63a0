"""SQLite and PostgreSQL pass the one contract; what is particular to each stands below."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from aigc.entities import Creation, CreationState, Event
from aigc.errors import ConflictError, InvalidInputError, UnavailableError
from aigc.store.base import LoggedRecommendation
from aigc.store.sql import open_store
from tests.contracts.store import StoreContract
from tests.faults.kill import kill_rounds

GOLDEN = Path(__file__).resolve().parent.parent / "golden"


class TestSqlite(StoreContract):
    @pytest.fixture
    def url(self, tmp_path: Path) -> str:
        return f"sqlite:///{tmp_path / 'store.sqlite'}"


@pytest.mark.postgres
class TestPostgres(StoreContract):
    @pytest.fixture
    def url(self, postgres_url: str) -> str:
        return postgres_url


@pytest.mark.postgres
def test_every_acknowledged_event_survives_sigkill_on_postgres(tmp_path: Path, postgres_url: str) -> None:
    tally = kill_rounds(tmp_path / "home", rounds=2, events=600, batch=20, seed=3, store_url=postgres_url)
    assert (tally.acknowledged, tally.lost, tally.twice) == (600, 0, 0)


def test_the_writer_syncs_each_commit_to_the_disk(tmp_path: Path) -> None:
    store = open_store(f"sqlite:///{tmp_path / 'store.sqlite'}")
    found = [
        store._write(lambda c, name=name: c.exec_driver_sql(f"PRAGMA {name}").scalar()).result(timeout=10)
        for name in ("synchronous", "journal_mode")
    ]
    assert found == [2, "wal"], "FULL"
    store.close()


def test_the_first_formats_file_stays_readable(tmp_path: Path) -> None:
    shutil.copy(GOLDEN / "store-v1.sqlite", tmp_path / "old.sqlite")
    store = open_store(f"sqlite:///{tmp_path / 'old.sqlite'}")
    assert store.get_items(["poem"])["poem"].title == "静夜思"
    assert [s.event.id for s in store.user_events("reader")] == ["first"]
    assert store.record_events([Event("first", "reader", "poem", "like", 5)]) == [False]
    store.close()


def test_a_store_of_before_creations_gets_their_table_and_keeps_what_it_has(tmp_path: Path) -> None:
    shutil.copy(GOLDEN / "store-v1.sqlite", tmp_path / "old.sqlite")
    url = f"sqlite:///{tmp_path / 'old.sqlite'}"
    with pytest.raises(ConflictError, match="is of schema 0001, this version needs 0002"):
        open_store(url, read_only=True)
    store = open_store(url)
    assert store.creations.list() == []
    made = Creation("c", "reader", CreationState.ADMITTED, "text", "poems@1", "prompt", {}, 1, quality=0.5)
    store.creations.put(made)
    answer = LoggedRecommendation("r", "reader", "default", "", "", ("poem",), 7, {"poem": 0.25})
    store.log_recommendations([answer])
    store.close()
    again = open_store(url)
    assert (again.creations.get("c"), again.get_recommendation("r")) == (made, answer)
    assert again.get_items(["poem"])["poem"].title == "静夜思"
    again.close()


def test_the_second_formats_file_stays_readable(tmp_path: Path) -> None:
    shutil.copy(GOLDEN / "store-v2.sqlite", tmp_path / "old.sqlite")
    store = open_store(f"sqlite:///{tmp_path / 'old.sqlite'}")
    made = store.creations.get("generated-c1")
    assert made is not None
    assert (made.id, made.state, made.quality, made.source_item_ids) == ("c1", CreationState.PENDING, 0.5, ("poem",))
    assert made.recipe == {"model": "poems@1", "seed": 7, "prompt": "床前"}
    answer = store.get_recommendation("r1")
    assert answer is not None
    assert answer.propensities == {"generated-c1": 0.25}
    store.close()


def test_a_store_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "new.sqlite"
    open_store(f"sqlite:///{path}").close()
    engine = create_engine(f"sqlite:///{path}")
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    engine.dispose()
    with pytest.raises(ConflictError, match="is of schema 9999, this version knows up to 0002; upgrade aigc"):
        open_store(f"sqlite:///{path}")


def test_a_store_that_is_not_there_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ConflictError, match="there is no store at"):
        open_store(f"sqlite:///{tmp_path / 'absent.sqlite'}", read_only=True)


@pytest.mark.parametrize("url", ["", "nonsense", "mysql://host/db", "sqlite://"])
def test_a_wrong_url_is_named(url: str) -> None:
    with pytest.raises(InvalidInputError, match=r"store\.url"):
        open_store(url)


def test_a_database_that_does_not_answer_is_unavailable() -> None:
    with pytest.raises(UnavailableError, match="does not answer"):
        open_store("postgresql://nobody@127.0.0.1:1/none")
