"""From files to answers on real data, and a delta that answers as a rebuilt snapshot does."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from aigc.collect.movielens import MovieLens
from aigc.collect.rejects import Rejects
from aigc.entities import Event, Item
from aigc.kernel import State
from aigc.recommend.request import RecommendRequest, SearchRequest
from aigc.services.importer import Importer
from aigc.services.platform import Platform


@pytest.fixture(scope="module")
def movies(tmp_path_factory: pytest.TempPathFactory, shared_data: Path) -> Platform:
    platform = Platform.open(tmp_path_factory.mktemp("movies"))
    found, rejects = MovieLens.find(shared_data / "ml-latest-small"), Rejects(None)
    importer = Importer(platform.catalog, platform.behaviour, rejects)
    assert importer.items(found.read_items(rejects)).accepted == 9125
    assert importer.events(found.read_events(rejects)).accepted == 100_004
    assert rejects.total == 0
    for _ in platform.admin.build_snapshot():
        pass
    return platform


@pytest.mark.shared_data
def test_movielens_is_recommended_sensibly(movies: Platform) -> None:
    after_toy_story = RecommendRequest("newcomer", 5, context_item="1")
    titles = [i.title for i in movies.recommender.recommend(after_toy_story).items]
    assert "Toy Story 2 (1999)" in titles
    near = [i.title for i in movies.recommender.similar_items("260", 10)]
    assert any("Empire Strikes Back" in t for t in near)
    found = [i.title for i in movies.recommender.search(SearchRequest(5, text="toy story"))]
    assert any("Toy Story" in t for t in found)


@pytest.mark.shared_data
def test_held_out_ratings_are_found_far_better_than_by_popularity(movies: Platform) -> None:
    # Leave the last liked film of each user out of the scoring: the other events stand in for the history.
    hits = {"default": 0, "popular": 0}
    users = [str(u) for u in range(1, 201)]
    for user in users:
        liked = [s.event for s in movies.store.user_events(user) if (s.event.value or 0) >= 4]
        if len(liked) < 6:
            continue
        context = liked[-2].item_id
        for strategy in hits:
            request = RecommendRequest(f"stranger-{user}", 20, strategy=strategy, context_item=context)
            answer = movies.recommender.recommend(request)
            hits[strategy] += len({e.item_id for e in liked} & {i.item_id for i in answer.items})
    assert hits["default"] > 1.3 * hits["popular"]


@pytest.mark.shared_data
def test_the_arrays_of_a_real_snapshot_pass_the_deep_check(movies: Platform) -> None:
    opened = movies.snapshots.open()
    m = opened.manifest
    State(
        opened.arrays,
        models=list(m.models),
        kinds=m.kinds,
        categories=m.categories,
        embedding_size=m.embedding_size,
        verify=True,
    )


def test_the_delta_answers_as_a_rebuilt_snapshot_does(tmp_path: Path) -> None:
    platform = Platform.open(tmp_path)
    rng = np.random.default_rng(0)
    items = [Item(f"i{n}", title=f"{'abc'[n % 3]} {'xyz'[n % 5 % 3]}", categories=("c",)) for n in range(60)]
    platform.catalog.upsert(items)
    events = [Event(f"e{n}", f"u{n % 20}", f"i{rng.integers(60)}", "like", 1000 * n) for n in range(400)]
    platform.behaviour.record(events)
    for _ in platform.admin.build_snapshot():
        pass
    platform.behaviour.record([Event(f"late{n}", f"u{n}", f"i{n * 3}", "like", 10**9 + n) for n in range(15)])
    live = platform.live.serving.state
    reopened = Platform.open  # the same data directory, read by a second platform after the first is closed
    before = {
        u: [(i.item_id, round(i.score, 4)) for i in platform.recommender.recommend(RecommendRequest(u, 60)).items]
        for u in (f"u{n}" for n in range(22))
    }
    histories = {u: [a.tolist() for a in live.history(u)] for u in before}
    platform.close()
    again = reopened(tmp_path)
    for user, answer in before.items():
        got = again.recommender.recommend(RecommendRequest(user, 60)).items
        assert [(i.item_id, round(i.score, 4)) for i in got] == answer
        assert [a.tolist() for a in again.live.serving.state.history(user)] == histories[user]
    again.close()


def test_an_empty_installation_answers_and_lists_what_is_new(tmp_path: Path) -> None:
    platform = Platform.open(tmp_path)
    assert platform.recommender.recommend(RecommendRequest("u", 5)).items == ()
    platform.catalog.upsert([Item("first", title="hello")])
    assert [i.item_id for i in platform.recommender.recommend(RecommendRequest("u", 5)).items] == ["first"]
    platform.close()


def test_one_item_and_one_user_can_be_trained(tmp_path: Path) -> None:
    platform = Platform.open(tmp_path)
    platform.catalog.upsert([Item("only", title="唯一")])
    platform.behaviour.record([Event("e", "u", "only", "like", 5)])
    for _ in platform.admin.build_snapshot():
        pass
    assert platform.recommender.recommend(RecommendRequest("u", 5)).items == ()
    assert [i.item_id for i in platform.recommender.recommend(RecommendRequest("v", 5)).items] == ["only"]
    assert [i.item_id for i in platform.recommender.search(SearchRequest(5, text="唯一"))] == ["only"]
    platform.close()
