"""Which language a line is in, and how it speaks."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from aigc.prepare.encoding import detect_encoding
from aigc.prepare.language import detect_language
from aigc.prepare.sentiment import sentiment

SIMPLIFIED = "编号,标题,内容\n1,什么是人工智能,人工智能是工程和科学的分支,致力于构建具有思维的机器。\n2,你好,很高兴\n"
TRADITIONAL = "編號,標題,內容\n1,什麼是人工智慧,人工智慧是工程和科學的分支,致力於構建具有思維的機器。\n2,你好,很高興\n"
PRAISE = ["非常喜欢这部电影", "没有缺点", "一点也不后悔", "太棒了", "I love it", "Not bad at all"]


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("床前明月光,疑是地上霜", "zh"),
        ("什么是chatterbot", "zh"),
        ("Hello", "en"),
        ("What is AI?", "en"),
        ("def add(x, y): return x + y", "en"),
        ("こんにちは、元気ですか", "ja"),
        ("안녕하세요", "ko"),
        ("Привет, как дела?", "ru"),
        ("Je ne sais pas", "fr"),
        ("Das ist gut", "de"),
        ("¿Dónde está la biblioteca?", "es"),
        ("Che bella giornata", "it"),
        ("", "und"),
        ("12345 !?", "und"),
        ("🎩🎩", "und"),
    ],
)
def test_a_line_is_told_by_its_script_and_its_words(text: str, language: str) -> None:
    assert detect_language(text) == language


def test_lines_of_the_dialogues_and_poems_are_right_in_ninety_nine_of_a_hundred(shared_data: Path) -> None:
    for name, language in (("english", "en"), ("chinese", "zh")):
        with (shared_data / "dialogues" / f"{name}.jsonl").open(encoding="utf-8") as file:
            lines = [turn for row in map(json.loads, file) for turn in row["turns"] if any(map(str.isalpha, turn))]
        assert sum(detect_language(line) == language for line in lines) >= 0.99 * len(lines)
    with gzip.open(shared_data / "poetry" / "poems.jsonl.gz", "rt", encoding="utf-8") as file:
        verses = [line for _, row in zip(range(5000), file, strict=False) for line in json.loads(row)["lines"]]
    assert sum(detect_language(line) == "zh" for line in verses) >= 0.99 * len(verses)


@pytest.mark.parametrize("text", PRAISE)
def test_praise_is_above_zero(text: str) -> None:
    assert sentiment(text) > 0


@pytest.mark.parametrize("text", ["不好看", "一点也不喜欢", "很不满意", "我讨厌这首歌", "I hate it", "not good at all"])
def test_blame_is_below_zero(text: str) -> None:
    assert sentiment(text) < 0


@pytest.mark.parametrize("text", ["北京是中国的首都", "今天是星期三", "Paris is a city", "", "12"])
def test_a_fact_is_neither(text: str) -> None:
    assert abs(sentiment(text)) < 0.35


@pytest.mark.parametrize("encoding", ["utf-8", "gb18030", "big5", "utf-16", "utf-16-le", "utf-32", "utf-8-sig"])
def test_an_encoding_is_found_out(encoding: str) -> None:
    text = TRADITIONAL if encoding == "big5" else SIMPLIFIED
    assert text.encode(encoding).decode(detect_encoding(text.encode(encoding))).lstrip("\ufeff") == text
