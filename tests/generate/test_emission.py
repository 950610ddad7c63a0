from __future__ import annotations

from aigc.generate.emission import Emission
from tests.generate.small_text import small_tokenizer


def shown(text: str, *stop: str) -> tuple[list[str], bool]:
    """The pieces that a text leaves in, token by token, and whether it was stopped."""
    tokenizer = small_tokenizer()
    emission = Emission(tokenizer, stop)
    pieces = []
    for token in tokenizer.encode(text):
        if emission.add(token):
            pieces.append(emission.chunk(0).text)
        if emission.stopped:
            break
    return [*pieces, emission.last(0, "stop").text], emission.stopped


def test_a_character_of_several_tokens_comes_out_whole() -> None:
    text = "齉😀龘é!"
    pieces, _ = shown(text)
    assert len(small_tokenizer().encode(text)) > len(text)
    assert pieces == [*text, ""]


def test_a_stop_text_across_tokens_ends_the_text_before_it() -> None:
    pieces, stopped = shown("The quick 齉龘 fox", "k 齉龘")
    assert "".join(pieces) == "The quic"
    assert stopped


def test_what_only_began_like_a_stop_text_is_shown_after_all() -> None:
    pieces, stopped = shown("aab aaab", "aaac")
    assert "".join(pieces) == "aab aaab"
    assert not stopped
    pieces, stopped = shown("aa", "aaac")
    assert pieces[-1] == "aa"
    assert not stopped


def test_nothing_of_a_stop_text_is_ever_shown() -> None:
    pieces, stopped = shown("one\n\ntwo", "\n\n")
    assert "".join(pieces) == "one"
    assert stopped


def test_the_first_of_several_stop_texts_counts() -> None:
    assert "".join(shown("one two three", "three", "two")[0]) == "one "


def test_bytes_of_a_character_that_never_became_whole_are_left_out() -> None:
    tokenizer = small_tokenizer()
    emission = Emission(tokenizer)
    for token in tokenizer.encode("a齉")[:-1]:
        emission.add(token)
    last = emission.last(0, "length")
    assert last.text == "a"
    assert len(last.token_ids) == len(tokenizer.encode("a齉")) - 1


def test_bytes_that_can_be_no_character_are_shown_as_the_replacement_mark() -> None:
    tokenizer = small_tokenizer()
    emission = Emission(tokenizer)
    assert not emission.add(tokenizer.encode("齉")[0])
    assert emission.add(tokenizer.encode("a")[0])
    assert emission.chunk(0).text == "\ufffda"
