from __future__ import annotations

import pytest

from aigc.generate.postprocess_text import TextPostProcessing, postprocess_text


def after(text: str, **steps: bool) -> str:
    return postprocess_text(text, TextPostProcessing(**steps))[0]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("One is whole. Two is whole! And three is", "One is whole. Two is whole!"),
        ("He said \u201cstop.\u201d Then he", "He said \u201cstop.\u201d"),
        ("春天来了\u3002花开了\uff01然后我", "春天来了\u3002花开了\uff01"),
        ("Dr. J. Smith went", "Dr."),
        ("no end at all", "no end at all"),
        ("", ""),
    ],
)
def test_a_text_ends_with_its_last_whole_sentence(text: str, expected: str) -> None:
    assert after(text, complete_sentence=True) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("the the the cat", "the cat"),
        ("I know. I know. I know. I know. Yes.", "I know. Yes."),
        ("好的好的好的好的我知道", "好的我知道"),
        ("a rose is a rose", "a rose is a rose"),
        ("天天开心", "天天开心"),
    ],
)
def test_what_is_said_three_times_running_is_said_once(text: str, expected: str) -> None:
    assert after(text, remove_repetition=True).replace("  ", " ") == expected


def test_marks_take_the_width_of_the_language_before_them() -> None:
    assert after("你好,世界!I agree\uff0cyes.", punctuation=True) == "你好\uff0c世界\uff01I agree,yes."
    assert after("圆周率是3.14.", punctuation=True) == "圆周率是3.14."
    assert after("下雨了.", punctuation=True) == "下雨了\u3002"


def test_surplus_space_goes_and_lines_stay() -> None:
    assert after("  你 好 \uff0c  world  ,  yes \n\n\n\n next ", whitespace=True) == "你好\uff0c world, yes\n\nnext"


def test_each_step_says_what_it_did_and_none_does_nothing() -> None:
    text = "go go go on. And"
    assert postprocess_text(text, TextPostProcessing()) == (text, ())
    done, notes = postprocess_text(text, TextPostProcessing(remove_repetition=True, complete_sentence=True))
    assert done == "go on."
    assert notes == ("remove_repetition: 6 characters taken out", "complete_sentence: 4 characters cut off the end")


def test_long_texts_take_no_time_to_speak_of() -> None:
    assert len(after("ab" * 20_000 + "x" * 20_000, remove_repetition=True)) < 20_000
