"""Numbers in Chinese numerals as plain digits, so that 四十五 is supported by 45 and the other way round."""

from __future__ import annotations

__all__ = ["plain_number"]

_DIGITS = {c: i for i, c in enumerate("零一二三四五六七八九")} | {"〇": 0, "两": 2}
_PLACES = {"十": 10, "百": 100, "千": 1000}
_LARGE = {"万": 10_000, "亿": 100_000_000}


def plain_number(numerals: str) -> str:
    """四十五, 百分之四十五 → 45; 二〇二三 → 2023; 三万二 is read as it is written, 30002.

    Args:
        numerals: of 零〇一二三四五六七八九十百千万亿两 alone, with 百分之 before them or not.
    """
    text = numerals.removeprefix("百分之")
    if all(c in _DIGITS for c in text):
        return "".join(str(_DIGITS[c]) for c in text)
    whole = section = digit = 0
    for c in text:
        if c in _DIGITS:
            digit = _DIGITS[c]
        elif c in _PLACES:
            section += (digit or 1) * _PLACES[c]
            digit = 0
        elif c == "万":
            whole += (section + digit or 1) * _LARGE[c]
            section = digit = 0
        else:
            whole = (whole + section + digit or 1) * _LARGE[c]
            section = digit = 0
    return str(whole + section + digit)
