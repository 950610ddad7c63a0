"""Topics of short texts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from aigc.entities import Item
from aigc.errors import CorruptDataError
from aigc.features.topics import TopicClassifier


def catalogue() -> list[Item]:
    items = [Item(f"t{k}", text=f"kittens purr {k}\ncats play", categories=("cats",)) for k in range(40)]
    return items + [Item(f"c{k}", text=f"engines roar {k}\nmotors run", categories=("cars",)) for k in range(4)]


def test_one_text_is_judged_alike_in_any_company_and_after_loading(tmp_path: Path) -> None:
    model = TopicClassifier.fit(catalogue())
    model.save(tmp_path)
    one = model.topics(["motors run"])[0]
    np.testing.assert_allclose(
        one, TopicClassifier.load(tmp_path).topics(["cats play", "motors run", ""])[1], atol=1e-5
    )
    (tmp_path / "topics.json").write_text("{")
    with pytest.raises(CorruptDataError, match=r"topics\.json.*aigc train"):
        TopicClassifier.load(tmp_path)


def test_a_small_topic_is_not_drowned_by_a_large_one() -> None:
    model = TopicClassifier.fit(catalogue())
    assert model.categories == ("cats", "cars")
    cats, cars = model.topics(["motors run"])[0]
    assert cars > 5 * cats
    assert not model.topics(["unheard"]).any()


def test_what_has_no_words_or_one_category_teaches_no_topic() -> None:
    assert TopicClassifier.fit([]).topics(["a"]).shape == (1, 0)
    assert TopicClassifier.fit(catalogue()[:40]).categories == ()
    assert TopicClassifier.fit([Item(str(k), categories=(str(k % 2),)) for k in range(20)]).categories == ()
