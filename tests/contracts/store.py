"""The suite that every store passes; a subclass gives the fixture ``url``."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aigc.entities import Creation, CreationState, Event, Item, ItemContent, Preferences
from aigc.errors import ConflictError, CorruptDataError, InvalidInputError, UnavailableError
from aigc.store.backup import backup, restore
from aigc.store.base import EventBatch, LoggedRecommendation
from aigc.store.sql import SqlStore, open_store

words = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0"), max_size=30)
ids = words.filter(bool)
items = st.builds(
    Item,
    id=ids,
    kind=ids,
    title=words,
    text=words,
    categories=st.lists(ids, max_size=3, unique=True).map(tuple),
    tags=st.lists(ids, max_size=3, unique=True).map(tuple),
    author=words,
    language=words,
    created_ms=st.integers(-(2**53), 2**53),
    hidden=st.booleans(),
    generated=st.booleans(),
    attributes=st.dictionaries(ids, words, max_size=3),
    content=st.none() | st.builds(ItemContent, media_type=ids, data=st.binary(min_size=1, max_size=50)),
)


def event(name: str, user: str = "u", item: str = "i", time_ms: int = 0, **more: object) -> Event:
    return Event(name, user, item, "like", time_ms, **more)  # type: ignore[arg-type]


def creation(name: str, time_ms: int = 0, **more: object) -> Creation:
    state = more.pop("state", CreationState.ADMITTED)
    user = more.pop("user_id", "u")
    return Creation(name, user, state, "image", "digits@1", "class", {"seed": 2**53 - 1}, time_ms, **more)  # type: ignore[arg-type]


class StoreContract:
    """Every promise of :class:`aigc.store.base.Store`."""

    @pytest.fixture
    def url(self) -> str:
        raise NotImplementedError

    @pytest.fixture
    def store(self, url: str) -> Iterator[SqlStore]:
        store = open_store(url)
        yield store
        store.close()

    # One suite for several classes is the point of a contract; the examples differ, and that is well.
    @settings(
        max_examples=25,
        deadline=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.differing_executors],
    )
    @given(entries=st.lists(items, max_size=5))
    def test_items_come_back_as_they_went_in(self, store: SqlStore, entries: list[Item]) -> None:
        store.delete_items([i.id for i in entries])
        store.upsert_items(entries)
        wanted = {i.id: i for i in entries}
        assert store.get_items(list(wanted), with_content=True) == wanted

    def test_content_is_kept_when_an_update_brings_none(self, store: SqlStore) -> None:
        content = ItemContent("image/png", b"\x00\xff" * 1000)
        store.upsert_items([Item("a", content=content)])
        store.upsert_items([Item("a", title="new")])
        assert store.get_items(["a"], with_content=True)["a"] == Item("a", title="new", content=content)
        assert store.get_items(["a"])["a"].content is None
        assert list(store.iterate_contents(["a", "b"])) == [("a", content)]

    def test_every_write_of_an_item_raises_its_revision_and_a_delete_leaves_a_tombstone(self, store: SqlStore) -> None:
        store.upsert_items([Item(f"i{n}") for n in range(5)])
        store.upsert_items([Item("i1", title="again")])
        assert store.delete_items(["i0", "i0", "absent"]) == 1
        assert store.delete_items(["i0"]) == 0
        changes = [c for batch in store.iterate_items(batch_size=2, include_deleted=True) for c in batch]
        revisions = [r for r, _ in changes]
        assert revisions == sorted(set(revisions))
        assert [c if isinstance(c, str) else c.id for _, c in changes] == ["i2", "i3", "i4", "i1", "i0"]
        assert changes[-1][1] == "i0"
        assert store.positions()["item_revision"] == revisions[-1]
        since = [c for batch in store.iterate_items(since_revision=revisions[2]) for c in batch]
        assert [c.id for _, c in since if isinstance(c, Item)] == ["i1"]
        assert store.get_items(["i0"]) == {}
        store.upsert_items([Item("i0", title="back")])
        assert store.get_items(["i0"])["i0"].title == "back"

    def test_pages_hold_every_item_once_under_every_filter(self, store: SqlStore) -> None:
        entries = [
            Item(f"{n:03d}", kind="ab"[n % 2], categories=("x",) if n % 3 else ("x%", 'x"y'), hidden=n % 5 == 0)
            for n in range(50)
        ]
        store.upsert_items(entries)
        store.delete_items(["007"])
        for kind in ("", "a"):
            for category in ("", "x", "x%", 'x"y', "X"):
                for hidden in (True, False):
                    wanted = [
                        i.id
                        for i in entries
                        if i.id != "007"
                        and kind in ("", i.kind)
                        and (not category or category in i.categories)
                        and (hidden or not i.hidden)
                    ]
                    got, token = [], ""
                    while True:
                        page = store.list_items(
                            page_size=7, page_token=token, kind=kind, category=category, include_hidden=hidden
                        )
                        assert page.total == len(wanted)
                        got += [i.id for i in page.items]
                        token = page.next_page_token
                        if not token:
                            break
                    assert got == wanted

    @pytest.mark.parametrize("token", ["x", "W10=", "bnVsbA==", "é"])
    def test_a_foreign_page_token_is_refused(self, store: SqlStore, token: str) -> None:
        with pytest.raises(InvalidInputError) as error:
            store.list_items(page_size=5, page_token=token)
        assert error.value.field == "page_token"

    def test_a_page_token_serves_its_own_listing_only(self, store: SqlStore) -> None:
        store.upsert_items([Item(f"{n}") for n in range(5)])
        token = store.list_items(page_size=2).next_page_token
        with pytest.raises(InvalidInputError):
            store.list_items(page_size=2, page_token=token, kind="text")

    def test_an_event_id_counts_once_within_and_across_batches(self, store: SqlStore) -> None:
        assert store.record_events([event("a"), event("b"), event("a", user="other")]) == [True, True, False]
        assert store.record_events([event("b"), event("c")]) == [False, True]
        assert store.record_events([]) == []
        assert store.counts().events == 3

    def test_events_come_back_in_order_of_acceptance_with_all_their_fields(self, store: SqlStore) -> None:
        full = Event("诗", "用户", "i", "rating", 5, 4.5, "rec", "好诗 🌙")
        store.record_events([event("x", time_ms=9), full])
        store.record_events([event("y", user="v")])
        assert [s.event for s in store.user_events("用户")] == [full]
        batches = list(store.iterate_events(batch_size=2))
        assert [len(b.seqs) for b in batches] == [2, 1]
        seqs = np.concatenate([b.seqs for b in batches])
        assert (np.diff(seqs) > 0).all()
        assert np.isnan(batches[0].values[0])
        assert batches[0].values[1] == 4.5
        assert list(batches[0].item_ids) == ["i", "i"]
        later = list(store.iterate_events(since_seq=int(seqs[1])))
        assert [list(b.user_ids) for b in later] == [["v"]]
        assert store.positions()["event_seq"] == seqs[-1]

    def test_a_users_events_stand_in_order_of_time(self, store: SqlStore) -> None:
        store.record_events([event(f"e{t}", time_ms=t) for t in (5, 1, 9, 3)])
        assert [s.event.time_ms for s in store.user_events("u")] == [1, 3, 5, 9]
        assert [s.event.time_ms for s in store.user_events("u", limit=2)] == [5, 9]
        assert store.user_events("nobody") == []

    def test_the_hook_hears_of_new_events_before_their_caller(self, store: SqlStore) -> None:
        heard: list[EventBatch] = []
        store.on_events = heard.append
        store.record_events([event("a")])
        assert [list(b.user_ids) for b in heard] == [["u"]]
        store.record_events([event("a")])
        assert len(heard) == 1, "what is known is no news"
        store.record_events([event("a"), event("b", user="v")])
        assert list(heard[1].user_ids) == ["v"]
        assert heard[1].seqs[0] > heard[0].seqs[0]

    def test_events_whose_caller_has_gone_are_stored_without_a_word_in_the_log(
        self, store: SqlStore, caplog: pytest.LogCaptureFixture
    ) -> None:
        held = threading.Event()
        store.on_events = lambda _: held.wait(10)  # type: ignore[assignment, return-value]
        gone = store.submit_events([event("a")])
        assert gone.cancel()
        held.set()
        assert store.record_events([event("b"), event("a")]) == [True, False]
        assert not caplog.records

    def test_many_callers_lose_nothing(self, store: SqlStore) -> None:
        def caller(number: int) -> None:
            for n in range(20):
                assert store.record_events([event(f"{number}-{n}-{i}") for i in range(5)]) == [True] * 5

        threads = [threading.Thread(target=caller, args=(n,)) for n in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert store.counts().events == 8 * 20 * 5

    def test_a_bad_batch_fails_alone(self, store: SqlStore) -> None:
        good = [store.submit_events([event(f"g{n}")]) for n in range(5)]
        bad = store.submit_events([event("bad", time_ms=2**70)])
        more = [store.submit_events([event(f"m{n}")]) for n in range(5)]
        with pytest.raises((InvalidInputError, UnavailableError)):
            bad.result(10)
        assert all(f.result(10) == [True] for f in [*good, *more])

    def test_preferences_replace_each_other(self, store: SqlStore) -> None:
        assert store.get_preferences("u") is None
        first = Preferences("u", {"唐诗": 0.5}, ("horror",), allow_generated=False)
        store.put_preferences(first)
        assert store.get_preferences("u") == first
        store.put_preferences(Preferences("u"))
        store.put_preferences(Preferences("a", allow_personalisation=False))
        assert [p.user_id for p in store.iterate_preferences()] == ["a", "u"]
        assert store.get_preferences("u") == Preferences("u")

    def test_answers_are_kept(self, store: SqlStore) -> None:
        answer = LoggedRecommendation("r", "u", "default", "split", "s1", ("a", "b"), 7)
        store.log_recommendations([answer])
        store.log_recommendations([])
        assert store.get_recommendation("r") == answer
        assert store.get_recommendation("absent") is None

    def test_creations_come_back_as_they_went_in_by_their_own_id_or_their_items(self, store: SqlStore) -> None:
        full = Creation(
            "c1",
            "用户",
            CreationState.REJECTED,
            "text",
            "诗@2",
            "prompt",
            {"seed": 7, "prompt": "春眠", "latent": [0.1, -2.5], "top_p": 0.95},
            2**41,
            item_id="generated-c1",
            title="春 🌙",
            source_item_ids=("a", "b"),
            quality=0.25,
            reason="REJECTED_BY_PERSON",
            detail="too sad",
            reviewed_ms=2**41 + 1,
            reviewer="ann",
        )
        store.creations.put(full)
        assert store.creations.get("c1") == store.creations.get("generated-c1") == full
        assert store.creations.get("absent") is None
        store.creations.put(creation("c2"))
        unscored = store.creations.get("c2")
        assert unscored is not None
        assert np.isnan(unscored.quality), "without a scorer there is no quality"
        store.creations.put(creation("c2", title="again", quality=1.0))
        assert [c.title for c in store.creations.list(user_id="u")] == ["again"], "the same id is replaced"

    def test_creations_are_listed_newest_first_in_pages_that_hold_each_once(self, store: SqlStore) -> None:
        states = [CreationState.ADMITTED, CreationState.REFUSED, CreationState.PENDING]
        # Several of one time: the id tells them apart.
        made = [creation(f"c{n:02d}", n // 4, state=states[n % 3], user_id="ab"[n % 2]) for n in range(30)]
        for one in made:
            store.creations.put(one)
        for state in ("", "pending"):
            for user in ("", "a"):
                wanted = [c.id for c in reversed(made) if state in ("", c.state.value) and user in ("", c.user_id)]
                got: list[str] = []
                before: tuple[int, str] | None = None
                while page := store.creations.list(state=state, user_id=user, limit=4, before=before):
                    got += [c.id for c in page]
                    before = (page[-1].created_ms, page[-1].id)
                assert got == wanted

    def test_quotas_count_what_was_admitted_or_waits_for_a_person_since_a_time(self, store: SqlStore) -> None:
        for n, state in enumerate(CreationState):
            for user in ("a", "b"):
                store.creations.put(creation(f"{state}-{user}", n, state=state, user_id=user))
        assert store.creations.count_admitted(since_ms=0) == 4
        assert store.creations.count_admitted(since_ms=0, user_id="a") == 2
        pending = list(CreationState).index(CreationState.PENDING)
        assert store.creations.count_admitted(since_ms=pending, user_id="a") == 1
        assert store.creations.count_admitted(since_ms=pending + 1) == 0

    def test_many_callers_record_creations_and_lose_none(self, store: SqlStore) -> None:
        def caller(number: int) -> None:
            for n in range(10):
                store.creations.put(creation(f"{number}-{n}", n))

        threads = [threading.Thread(target=caller, args=(n,)) for n in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(store.creations.list()) == 40

    def test_a_record_outlives_its_item(self, store: SqlStore) -> None:
        store.upsert_items([Item("generated-c", generated=True, content=ItemContent("image/png", b"x"))])
        store.creations.put(creation("c", item_id="generated-c"))
        store.delete_items(["generated-c"])
        kept = store.creations.get("generated-c")
        assert kept is not None
        assert (kept.id, kept.item_id, kept.state) == ("c", "generated-c", CreationState.ADMITTED)
        assert store.get_items(["generated-c"]) == {}

    def test_what_was_written_is_there_after_reopening(self, url: str) -> None:
        store = open_store(url)
        store.upsert_items([Item("a")])
        store.record_events([event("e")])
        store.creations.put(creation("c", quality=0.5))
        store.close()
        store.close()
        with pytest.raises(UnavailableError, match="is closed"):
            store.record_events([event("f")])
        again = open_store(url)
        assert (again.counts().items, again.counts().events, again.counts().users) == (1, 1, 1)
        assert again.record_events([event("e")]) == [False]
        assert again.creations.get("c") == creation("c", quality=0.5)
        again.close()

    def test_a_reader_sees_and_cannot_write(self, url: str, store: SqlStore) -> None:
        reader = open_store(url, read_only=True)
        store.record_events([event("e")])
        assert reader.counts().events == 1
        with pytest.raises(ConflictError, match="reading only"):
            reader.record_events([event("f")])
        with pytest.raises(ConflictError, match="reading only"):
            reader.creations.put(creation("c"))
        reader.close()

    def test_nul_and_lone_surrogates_are_refused_and_harm_nothing(self, store: SqlStore) -> None:
        for bad in ("\ud800",) if store.url.drivername == "sqlite" else ("\ud800", "a\0b"):
            with pytest.raises(InvalidInputError):
                store.upsert_items([Item("bad", title=bad)])
        store.upsert_items([Item("good")])
        assert list(store.get_items(["bad", "good"])) == ["good"]

    def test_a_backup_restores_into_either_database(self, store: SqlStore, tmp_path: Path) -> None:
        store.upsert_items([Item("a", content=ItemContent("image/png", b"\x00\x01")), Item("b"), Item("c")])
        store.delete_items(["b"])
        store.record_events([event("e1", value=1.5), event("e2")])
        store.put_preferences(Preferences("u", {"x": 1.0}))
        made = [creation("c1", 1, quality=0.5), creation("c2", 2, quality=0.25, state=CreationState.PENDING)]
        for one in made:
            store.creations.put(one)
        counts = backup(store, tmp_path / "copy")
        assert (counts["events"], counts["creations"]) == (2, 2)
        with pytest.raises(ConflictError, match="is not empty"):
            backup(store, tmp_path / "copy")
        with pytest.raises(ConflictError, match="store is not empty"):
            restore(tmp_path / "copy", store)
        other = open_store(f"sqlite:///{tmp_path / 'other.sqlite'}")
        restore(tmp_path / "copy", other)
        assert list(other.iterate_items(include_deleted=True)) == list(store.iterate_items(include_deleted=True))
        assert other.user_events("u") == store.user_events("u")
        assert other.get_items(["a"], with_content=True) == store.get_items(["a"], with_content=True)
        assert other.positions() == store.positions()
        assert other.creations.list() == made[::-1]
        assert other.record_events([event("e1"), event("e3")]) == [False, True]
        other.close()

    def test_an_altered_backup_is_refused_before_a_row_is_written(self, store: SqlStore, tmp_path: Path) -> None:
        store.record_events([event("e1")])
        backup(store, tmp_path / "copy")
        file = tmp_path / "copy" / "events.jsonl"
        file.write_bytes(file.read_bytes()[:-2])
        other = open_store(f"sqlite:///{tmp_path / 'other.sqlite'}")
        with pytest.raises(CorruptDataError, match=r"events\.jsonl"):
            restore(tmp_path / "copy", other)
        assert other.counts().events == 0
        other.close()
