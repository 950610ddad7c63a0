from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from aigc.creation.candidate import Candidate
from aigc.creation.gates.blocked import BlockedGate
from aigc.creation.gates.claims import ClaimsGate
from aigc.creation.gates.duplicate import PictureDuplicateGate, TextDuplicateGate
from aigc.creation.gates.gate import Gates
from aigc.creation.gates.persons import PersonsGate
from aigc.creation.gates.quality import QualityGate
from aigc.creation.gates.readable import ReadableGate
from aigc.creation.gates.repetition import RepetitionGate
from aigc.entities import Item
from aigc.errors import InvalidInputError

CLEAN = (
    "A quiet morning in the garden, where the roses wait for rain and nobody hurries.",
    "Try to read a little every day; a good book is the cheapest journey there is.",
    "春天来了,园子里的花开得正好,微风吹过窗前。",
    "学习新的语言需要耐心,每天练习一点点就会进步。",
    "How do plants drink? Their roots take up water and carry it to the leaves.",
)


def text(words: str, **more: object) -> Candidate:
    return Candidate("text", text=words, **more)  # type: ignore[arg-type]


def reasons(gate: object, candidates: Sequence[Candidate]) -> list[str]:
    found = [gate.judge(c) for c in candidates]  # type: ignore[attr-defined]
    return [f.reason if f else "" for f in found]


@pytest.mark.parametrize(
    "words",
    [
        "Call me at +1 650-253-0000 any time.",
        "请拨打13800138000联系我们。",
        "电话:138 0013 8000",
        "Write to jane.doe@example.com today.",
        "My card is 4111 1111 1111 1111, thanks.",
        "身份证号11010519491231002X。",
        "加我微信:abc_12345 详聊",
        "١٣ or call (020) 7946 0958 in London",
    ],
)
def test_contact_and_identity_data_are_refused(words: str) -> None:
    assert reasons(PersonsGate(), [text(words)]) == ["PERSONAL_DATA"]


def test_numbers_that_are_nobodys_pass() -> None:
    assert reasons(PersonsGate(), [text(w) for w in (*CLEAN, "In 1998 there were 20 of 1,500 left.")]) == [""] * 6


def test_blocked_terms_are_found_whole_and_however_they_are_written() -> None:
    gate = BlockedGate(["class", "赌博"], [r"free\s+money"])
    bad = ["A CLASS act", "网上赌博网站", "FREE   money", "ｃｌａｓｓ act"]
    assert reasons(gate, [text(w) for w in bad]) == ["BLOCKED_TERM"] * 4
    assert reasons(gate, [text("classic classes"), *map(text, CLEAN)]) == [""] * 6


@pytest.mark.parametrize("pattern", ["(", r"(?=x)", "a" * 2000, r"(a)\1"])
def test_a_pattern_that_cannot_be_read_is_refused_by_its_place(pattern: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        BlockedGate((), ["fine", pattern])
    assert caught.value.field == "gates.blocked_patterns[1]"


def test_a_pattern_cannot_hang_the_server() -> None:
    assert reasons(BlockedGate((), [r"(a+)+$"]), [text("a" * 100_000 + "b")]) == [""]


def test_numbers_and_names_need_a_source() -> None:
    source = Item("i", title="The history of Rome", text="Rome was founded in 753 and 李白 wrote 诗.")
    gate = ClaimsGate()
    ok = ["We read of Rome and of 753 today.", "诗人李白写了很多诗。", *CLEAN]
    assert reasons(gate, [text(w, sources=[source]) for w in ok]) == [""] * len(ok)
    assert reasons(gate, [text("It grew by 45 percent.", sources=[source])]) == ["UNSUPPORTED_NUMBER"]
    assert reasons(gate, [text("增长了百分之四十五。", sources=[source])]) == ["UNSUPPORTED_NUMBER"]
    assert reasons(gate, [text("We met Napoleon there.", sources=[source])]) == ["UNSUPPORTED_NAME"]
    assert reasons(gate, [text("昨天王小红去了北京大学。", sources=[source])]) == ["UNSUPPORTED_NAME"]
    assert reasons(ClaimsGate(exempt=["poem"]), [text("It grew by 45 percent.", label="poem")]) == [""]
    marked = ClaimsGate(refuse=False).judge(text("It grew by 45 percent."))
    assert marked is not None
    assert not marked.refuses


def test_what_nobody_can_read_is_refused() -> None:
    broken = [
        text("a bell \x07 rings here"),
        text("ends early \x00"),
        text("half a character \ufffd"),
        text("\ud800 alone"),
    ]
    assert reasons(ReadableGate(), broken) == ["UNREADABLE_TEXT"] * 4
    assert reasons(ReadableGate(), [text("two lines\n\tand a tab\r\n"), text("春眠不觉晓 👩‍🚀")]) == ["", ""]


def test_repeated_and_empty_texts_are_refused() -> None:
    bad = [
        "the cat sat on the mat " * 20,
        "好的好的好的好的好的好的",
        "I like it. I like it. I like it. I like it. I like it.",
        "one two three four five six " * 3,
    ]
    assert reasons(RepetitionGate(), [text(w) for w in bad]) == ["REPEATED_TEXT"] * 4
    assert reasons(RepetitionGate(), [text(""), text("ok"), text("!!!!")]) == ["EMPTY_TEXT"] * 3
    poem = "床前明月光,疑是地上霜。举头望明月,低头思故乡。"
    assert reasons(RepetitionGate(), [text(w) for w in (*CLEAN, poem)]) == [""] * 6


def picture(pixels: np.ndarray, quality: float = 0.5) -> Candidate:
    return Candidate("image", pixels=pixels.astype(np.uint8), quality=quality)


def strokes(seed: int) -> np.ndarray:
    """A picture of a thick line on black, 28 × 28."""
    rng = np.random.default_rng(seed)
    pixels = np.zeros((28, 28, 1), np.uint8)
    row, column = rng.integers(5, 20, 2)
    pixels[row : row + 4, 3:25] = 220
    pixels[4:24, column : column + 3] = 180
    return pixels


def test_blank_pictures_and_noise_are_refused_and_strokes_pass() -> None:
    rng = np.random.default_rng(0)
    noise = [picture(rng.integers(0, 256, (28, 28, 1))) for _ in range(20)]
    faint = [picture(rng.normal(128, 60, (32, 32, 3)).clip(0, 255)) for _ in range(20)]
    assert set(reasons(QualityGate(), noise + faint)) == {"NOISE"}
    assert reasons(QualityGate(), [picture(np.zeros((28, 28, 1)))]) == ["BLANK_PICTURE"]
    assert set(reasons(QualityGate(), [picture(strokes(i)) for i in range(20)])) == {""}
    assert reasons(QualityGate(0.1), [picture(strokes(1), 0.05)]) == ["LOW_QUALITY"]
    assert reasons(QualityGate(0.1), [picture(strokes(1), float("nan"))]) == [""]


def test_a_copied_picture_is_refused_and_a_new_one_passes() -> None:
    gate = PictureDuplicateGate(distance=6.0)
    gate.add([f"known-{i}" for i in range(30)], [strokes(i) for i in range(30)])
    rng = np.random.default_rng(1)
    copies = [(strokes(i).astype(int) + rng.integers(-4, 5, (28, 28, 1))).clip(0, 255) for i in range(30)]
    assert set(reasons(gate, [picture(c) for c in copies])) == {"DUPLICATE_PICTURE"}
    assert reasons(gate, [picture(strokes(500))]) == [""]
    assert reasons(PictureDuplicateGate(5.0), [picture(strokes(1))]) == [""]


def test_a_copied_text_is_refused_but_not_for_its_prompt() -> None:
    gate = TextDuplicateGate()
    gate.add(CLEAN)
    assert reasons(gate, [text(CLEAN[0].upper()), text(CLEAN[2])]) == ["DUPLICATE_TEXT"] * 2
    assert reasons(gate, [text("Something else entirely, written for the first time today.")]) == [""]
    assert reasons(gate, [text(CLEAN[0] + " And now for the rest of it.", prompt=CLEAN[0])]) == [""]


def test_the_first_refusal_ends_the_questioning_and_marks_do_not() -> None:
    gates = Gates([ClaimsGate(refuse=False), RepetitionGate(), BlockedGate(["rome"])])
    verdict = gates.judge(text("In 1066 nobody there had yet seen Rome at all."))
    assert not verdict.admitted
    assert verdict.reason == "BLOCKED_TERM"
    assert [name for name, _ in verdict.findings] == ["claims", "blocked"]
    assert gates.judge(text(CLEAN[1])).admitted


def test_spaced_out_hidden_and_traditional_terms_are_found() -> None:
    gate = BlockedGate(["gambling", "赌博", "ad"])
    bad = [
        "g a m b l i n g here",
        "G-A-M-B-L-I-N-G",
        "gam\u200bbling",
        "gamb\u00adling",
        "网上赌 博",
        "赌*博",
        "賭博网",
        "an Ad",
    ]
    assert reasons(gate, [text(w) for w in bad]) == ["BLOCKED_TERM"] * len(bad)
    assert reasons(gate, [text(w) for w in ("a day, a D major", "打赌的人很博学", "gamblings")]) == [""] * 3


@pytest.mark.parametrize(
    "words",
    [
        "我的号码是一三八零零一三八零零零",
        "电话幺三八 零零幺三 八零零零",
        "six five zero, two five three, zero zero zero zero",
        "650 • 253 • 0000",
    ],
)
def test_numbers_told_in_words_are_telephone_numbers_too(words: str) -> None:
    assert reasons(PersonsGate(), [text(words)]) == ["PERSONAL_DATA"]


def test_numbers_in_words_need_a_source_and_idioms_do_not() -> None:
    gate = ClaimsGate()
    bad = [
        "收入增加了三成。",
        "价格是原来的五倍。",
        "It grew by forty-five percent.",
        "There are two hundred of them.",
        "成立于二〇二三年",
    ]
    assert reasons(gate, [text(w) for w in bad]) == ["UNSUPPORTED_NUMBER"] * len(bad)
    ok = [
        "万一下雨怎么办。",
        "千万别忘了带伞。",
        "三三两两的人走过。",
        "One day a dog met two cats.",
        "一天早上他起得很早。",
    ]
    assert reasons(gate, [text(w) for w in ok]) == [""] * len(ok)
    source = Item("i", text="增长了45%,共2,300人。")
    told = [text(w, sources=[source]) for w in ("增长了百分之四十五。", "一共两千三百人。")]
    assert reasons(gate, told) == [""] * 2


def test_a_copy_is_found_where_it_was_moved_and_lightened() -> None:
    gate = PictureDuplicateGate(distance=7.0)
    gate.add([f"known-{i}" for i in range(30)], [strokes(i) for i in range(30)])
    rng = np.random.default_rng(1)
    moved = [np.roll(strokes(i), rng.integers(-2, 3, 2), (0, 1)) * 0.8 + 10 for i in range(30)]
    assert set(reasons(gate, [picture(m) for m in moved])) == {"DUPLICATE_PICTURE"}
    assert reasons(gate, [picture(strokes(500))]) == [""]
