from __future__ import annotations

import math
from itertools import combinations

import pytest

from aigc.errors import InvalidInputError
from aigc.evaluate.generation.text import (
    bits_per_character,
    distinct,
    longest_copy,
    measure_texts,
    repetition,
    self_bleu,
    units,
)
from aigc.evaluate.generation.verse import RhymeBook, in_form, verse_lines

QUATRAIN = "床前明月光，疑是地上霜。\n舉頭望明月，低頭思故鄉。"


def test_units_are_words_han_characters_and_marks() -> None:
    assert units("To be, 床前!") == ["to", "be", ",", "床", "前", "!"]


def test_one_bit_a_character_is_a_fair_coin() -> None:
    assert bits_per_character(100 * math.log(0.5), 100) == pytest.approx(1)
    with pytest.raises(InvalidInputError):
        bits_per_character(-1, 0)


def test_distinct_and_repetition_count_ngrams() -> None:
    assert distinct([list("abab"), list("ab")], 2) == pytest.approx(2 / 4)
    assert repetition([list("abcabc")], 2) == pytest.approx(2 / 5)
    assert repetition([list("abcdef")], 2) == 0
    assert math.isnan(distinct([["a"]], 2))


def test_self_bleu_is_one_for_copies_and_near_zero_for_strangers() -> None:
    assert self_bleu([list("abcdefgh")] * 3) == pytest.approx(1)
    assert self_bleu([list("abcdefgh"), list("ijklmnop"), list("qrstuvwx")]) < 0.05
    some = self_bleu([list("abcdefgh"), list("abcdxyzw"), list("qrstuvwx")])
    assert 0.1 < some < 0.5
    assert math.isnan(self_bleu([list("abcd")]))


def test_a_copied_piece_is_measured() -> None:
    assert longest_copy("xx床前明月yy", QUATRAIN) == 4
    assert longest_copy("", QUATRAIN) == 0


def test_real_texts_are_measured_at_the_same_size() -> None:
    ours, real = measure_texts(["a b a b", "c d"], ["one two three four five six", "seven eight nine", "unused"])
    assert ours.texts == real.texts == 2
    assert ours.distinct_2 == pytest.approx(3 / 4)
    assert real.distinct_1 == 1


@pytest.mark.parametrize(
    ("text", "good"),
    [
        (QUATRAIN, True),
        (QUATRAIN + "完", False),
        (QUATRAIN[:-1], True),
        (QUATRAIN[6:], False),
        (QUATRAIN.replace("月", "m"), False),
        ("", False),
    ],
)
def test_form_is_counted_in_verses_and_characters(text: str, good: bool) -> None:
    assert in_form(text) is good


def test_rhymes_are_learnt_from_poems() -> None:
    groups = ["霜鄉陽光香", "雲君聞分文", "流樓秋愁舟", "山間閑關還"]
    poems = ["".join(f"一二三四五，一二三四{end}。" for end in pair) for g in groups for pair in combinations(g, 2)]
    # One pair was never seen together, and its ends both rhyme with three others.
    book = RhymeBook(poem for poem in poems if not {"鄉", "陽"} <= set(poem))
    assert verse_lines(QUATRAIN)[1::2] == ["疑是地上霜", "低頭思故鄉"]
    assert book.rhymes(QUATRAIN)
    assert book.rhyme("鄉", "陽")
    assert not book.rhyme("霜", "月")
    assert not book.rhyme("霜", "雲")
    assert not book.rhyme("霜", "霜")
    assert not book.rhymes("床前明月光，疑是地上霜。舉頭望明月，低頭思故月。")
