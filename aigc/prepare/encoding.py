"""Which encoding a file is in: its byte-order mark, strict UTF-8, or the likeliest of the common ones."""

from __future__ import annotations

import codecs

from aigc.errors import InvalidInputError

__all__ = ["AUTO", "SAMPLE_BYTES", "check_encoding", "detect_encoding"]

AUTO = "auto"
SAMPLE_BYTES = 262_144

_MARKS = (
    # UTF-32's little-endian mark begins with UTF-16's, so it comes first.
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_CANDIDATES = [
    "gb18030",
    "big5",
    "utf_16_le",
    "utf_16_be",
    "shift_jis",
    "euc_jp",
    "euc_kr",
    "cp1252",
    "cp1251",
    "latin_1",
]


def detect_encoding(sample: bytes) -> str:
    """The name of the codec that reads ``sample``, the first bytes of a file; ``utf-8`` when nothing fits better.

    A sample that is valid UTF-8, a character cut off at its end allowed, is UTF-8: no other encoding's text of any
    length passes for it by chance. For the rest charset-normalizer chooses among the encodings of Chinese, Japanese,
    Korean and European files by how much the decoded text looks like a language.
    """
    for mark, name in _MARKS:
        if sample.startswith(mark):
            return name
    try:
        codecs.getincrementaldecoder("utf-8")().decode(sample)
    except UnicodeDecodeError:
        pass
    else:
        # NUL is valid UTF-8, but a file with one in every other byte is UTF-16.
        if sample.count(0) * 8 < len(sample):
            return "utf-8"
    # Slow to import, and rarely needed.
    from charset_normalizer import from_bytes

    if len(sample) >= SAMPLE_BYTES:
        # A cut within a character would make the right encoding look wrong; after a line end there is none.
        end = sample.rfind(b"\n", 0, 65_536)
        sample = sample[: end + 1 + (sample[end + 1 : end + 2] == b"\0")] if end > 0 else sample[:65_536]
    best = from_bytes(sample, cp_isolation=_CANDIDATES).best()
    if best is None and len(sample) > 4096:
        # One damaged place must not hide what the rest is.
        best = from_bytes(sample[:2048], cp_isolation=_CANDIDATES).best()
    return best.encoding.replace("_", "-") if best is not None else "utf-8"


def check_encoding(name: str) -> None:
    """Raise InvalidInputError when no codec of this name exists; ``auto`` is one."""
    if name == AUTO:
        return
    try:
        "".encode(name)
    except (LookupError, UnicodeError):
        raise InvalidInputError(
            f"encoding {name!r} is not known; try auto, utf-8, gb18030, big5 or utf-16", field="encoding"
        ) from None
