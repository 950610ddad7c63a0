"""Traditional and simplified characters find each other."""

from __future__ import annotations

import numpy as np

from aigc.entities import Item
from aigc.features.text import TextEncoder, tokens
from aigc.prepare.chinese import simplified


def test_traditional_characters_and_phrases_become_simplified_and_the_rest_stays() -> None:
    assert simplified("漢字與頭髮,龍 Café 2024") == "汉字与头发,龙 Café 2024"
    assert simplified("plain") == "plain"
    assert simplified(simplified("乾隆皇帝")) == simplified("乾隆皇帝")


def test_either_script_gives_the_same_tokens() -> None:
    assert tokens("機器學習") == tokens("机器学习")


def test_a_query_in_traditional_characters_finds_a_simplified_item_and_the_other_way_round() -> None:
    items = [Item("a", title="机器学习"), Item("b", title="頭髮護理"), Item("c", title="足球比赛")]
    encoder = TextEncoder.fit(items, 8)
    scores = encoder.encode_text(["機器學習", "头发护理"]) @ encoder.encode(items).T
    np.testing.assert_array_equal(scores.argmax(axis=1), [0, 1])
    assert scores.max(axis=1).min() > 0.9
