from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aigc.errors import CorruptDataError, InvalidInputError
from aigc.generate.tokenizer import ASSISTANT, END, USER, TextTokenizer
from tests.generate.small_text import small_tokenizer


@settings(max_examples=50, deadline=None)
@given(st.text(st.characters(codec="utf-8")))
def test_any_text_comes_back_as_it_was(text: str) -> None:
    tokenizer = small_tokenizer()
    assert tokenizer.decode(tokenizer.encode(text)) == text


def test_half_a_surrogate_pair_becomes_a_question_mark() -> None:
    tokenizer = small_tokenizer()
    assert tokenizer.decode(tokenizer.encode("a\ud83d!")) == "a?!"


def test_a_token_holds_one_han_character_at_most() -> None:
    tokenizer = TextTokenizer.train(["明月光，明月光，明月光"] * 50, 400)
    assert len(tokenizer.encode("明月光")) == 3
    assert all(sum("\u3400" <= c <= "\u9fff" for c in p.decode("utf-8", "ignore")) <= 1 for p in tokenizer.pieces)


def test_digits_stand_in_groups_of_three_at_most() -> None:
    tokenizer = TextTokenizer.train(["1234567 1234567"] * 50, 400)
    assert max(len(piece.strip()) for piece in tokenizer.pieces if piece.strip().isdigit()) == 3


def test_marks_that_a_caller_writes_are_text() -> None:
    tokenizer = small_tokenizer()
    for mark in (END, USER, ASSISTANT):
        tokens = tokenizer.encode(mark)
        assert not set(tokens) & set(tokenizer.special)
        assert tokenizer.decode(tokens) == mark


def test_a_dialogue_ends_with_the_mark_after_which_the_assistant_speaks() -> None:
    t = small_tokenizer()
    one, two, three = t.encode_many(["你好", "Hello", "fox"])
    assert t.chat(["你好", "Hello", "fox"]) == [t.user, *one, t.assistant, *two, t.end, t.user, *three, t.assistant]
    assert t.decode(t.chat(["你好"])) == "你好"


def test_bytes_that_are_no_character_become_the_replacement_mark() -> None:
    tokenizer = small_tokenizer()
    assert tokenizer.decode(tokenizer.encode("齉")[:1]) == "\ufffd"


def test_a_character_tokenizer_knows_the_characters_that_occur_in_the_order_of_unicode() -> None:
    tokenizer = TextTokenizer.characters(["ba\n", "中c"])
    assert len(tokenizer) == 5 + 5
    assert tokenizer.encode("\nabc中") == [5, 6, 7, 8, 9]
    assert tokenizer.decode([9, 5, 6]) == "中\na"


def test_a_character_that_was_never_seen_is_named() -> None:
    with pytest.raises(InvalidInputError, match="'zé'") as caught:
        TextTokenizer.characters(["abc"]).encode("abzé")
    assert caught.value.field == "prompt"


def test_a_vocabulary_without_room_for_the_bytes_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="at least 261"):
        TextTokenizer.train(["abc"], 260)


@pytest.mark.parametrize("make", [small_tokenizer, lambda: TextTokenizer.characters(["abc 中"])])
def test_a_saved_tokenizer_is_the_same(make: object, tmp_path: Path) -> None:
    tokenizer = make()  # type: ignore[operator]
    tokenizer.save(tmp_path)
    loaded = TextTokenizer.load(tmp_path)
    assert loaded.pieces == tokenizer.pieces
    assert loaded.special == tokenizer.special
    assert loaded.encode("abc 中") == tokenizer.encode("abc 中")
    assert not set(small_tokenizer().encode(END)) & set(loaded.special)


@pytest.mark.parametrize("content", [None, "", "{", '{"model": 3}'])
def test_a_missing_or_broken_tokenizer_is_refused_by_name(content: str | None, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / "tokenizer.json").write_text(content)
    with pytest.raises(CorruptDataError, match=r"tokenizer\.json"):
        TextTokenizer.load(tmp_path)


def test_a_tokenizer_of_another_product_is_refused(tmp_path: Path) -> None:
    from tokenizers import Tokenizer, models

    Tokenizer(models.WordLevel({"a": 0})).save(str(tmp_path / "tokenizer.json"))
    with pytest.raises(CorruptDataError, match="end"):
        TextTokenizer.load(tmp_path)
