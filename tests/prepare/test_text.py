"""Text is cleaned once, and what is clean stays."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aigc.prepare.text import clean_text


@pytest.mark.parametrize(
    ("dirty", "clean"),
    [
        ("<p>Hello&nbsp;<b>world</b></p><script>x()</script><p>5 &lt; 6</p>", "Hello world\n\n5 < 6"),
        ("5 < 6 and a > b", "5 < 6 and a > b"),
        ("I <3 you", "I <3 you"),
        ("&lt;b&gt;bold&lt;/b&gt;", "bold"),
        ("AT&amp;T", "AT&T"),
        ("a\u200bb\u202ec\x07\ufeff", "abc"),
        ("👩\u200d🔬", "👩\u200d🔬"),
        ("全　角  空格\r\n\r\n\r\n\r\n下", "全 角 空格\n\n下"),
        ("e\u0301", "é"),
        ("", ""),
        (" \t\n ", ""),
        ("\ud800lone", "lone"),
        ("<p>" * 50 + "deep", "deep"),
    ],
)
def test_what_becomes_of_it(dirty: str, clean: str) -> None:
    assert clean_text(dirty) == clean


@settings(max_examples=300, deadline=None)
@given(st.text(st.sampled_from("ab<>&;/= \n\u200b中p!-é\u0301#x3cltgtam"), max_size=60))
def test_cleaning_what_is_clean_changes_nothing(text: str) -> None:
    once = clean_text(text)
    assert clean_text(once) == once


@pytest.mark.parametrize("text", ["<" * 1_000_000, "a" + "\u0301" * 1_000_000, "<b" * 300_000, "&" * 1_000_000])
def test_a_megabyte_of_rubbish_is_read_once(text: str) -> None:
    started = time.process_time()
    clean_text(text)
    # Quadratic work would take minutes.
    assert time.process_time() - started < 20
