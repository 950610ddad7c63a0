from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aigc.errors import CorruptDataError, InvalidInputError
from aigc.generate.tokenizer import END, TextTokenizer
from tests.generate.text_models import CORPUS, tokenizer

PIECES = tokenizer()


@settings(max_examples=200, deadline=None)
@given(st.text())
def test_any_text_comes_back_from_its_tokens(text: str) -> None:
    expected = text.encode("utf-8", "replace").decode("utf-8")
    assert PIECES.decode(PIECES.encode(text)) == expected


def test_a_han_character_is_never_joined_with_another() -> None:
    frequent = TextTokenizer.train(["明月" * 1000 + "故鄉" * 1000], 600)
    assert len(frequent.encode("明月故鄉")) == 4
    assert all(len(piece.decode("utf-8", "ignore")) <= 1 for piece in frequent.pieces)


def test_special_marks_in_a_callers_text_stay_text() -> None:
    tokens = PIECES.encode(f"a{END}b")
    assert not set(tokens) & set(PIECES.special)
    assert PIECES.decode(tokens) == f"a{END}b"


def test_a_dialogue_marks_its_speakers_and_ends_with_the_assistants_turn() -> None:
    tokens = PIECES.chat(["你好", "你好", "再见"])
    assert [t for t in tokens if t in PIECES.special] == [
        PIECES.user,
        PIECES.assistant,
        PIECES.end,
        PIECES.user,
        PIECES.assistant,
    ]


def test_a_characters_tokenizer_has_one_token_a_character_and_names_strangers() -> None:
    letters = TextTokenizer.characters(CORPUS)
    assert letters.decode(letters.encode(CORPUS[1])) == CORPUS[1]
    assert len(letters.encode(CORPUS[1])) == len(CORPUS[1])
    with pytest.raises(InvalidInputError, match="龘") as caught:
        letters.encode("月龘")
    assert caught.value.field == "prompt"


def test_saved_tokenizers_come_back(tmp_path: Path) -> None:
    for i, made in enumerate((PIECES, TextTokenizer.characters(CORPUS))):
        folder = tmp_path / str(i)
        folder.mkdir()
        made.save(folder)
        again = TextTokenizer.load(folder)
        assert [again.encode(text) for text in CORPUS] == [made.encode(text) for text in CORPUS]
        assert again.pieces == made.pieces


def test_a_missing_or_broken_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(CorruptDataError, match=r"tokenizer\.json"):
        TextTokenizer.load(tmp_path)
    (tmp_path / "tokenizer.json").write_text("{", encoding="utf-8")
    with pytest.raises(CorruptDataError, match=r"tokenizer\.json"):
        TextTokenizer.load(tmp_path)


def test_a_vocabulary_smaller_than_the_bytes_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="at least 261"):
        TextTokenizer.train(CORPUS, 100)
