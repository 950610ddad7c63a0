"""Text as it should be stored: one Unicode form, no markup, nothing invisible, no surplus white space."""

from __future__ import annotations

import html
import re
import unicodedata

__all__ = ["clean_text"]

# A tag has a name right after its bracket: "5 < 6" and "<3" are none.
_MARKUP = re.compile(r"</?[a-zA-Z][a-zA-Z0-9-]*(?:\s[^<>]*)?/?>|<!--|<!DOCTYPE", re.IGNORECASE)
_ENTITY = re.compile(r"&(?:#\d{1,7}|#x[0-9a-fA-F]{1,6}|[a-zA-Z][a-zA-Z0-9]{1,30});")
_SPACES = re.compile(r"[^\S\n]+")
_BLANK_LINES = re.compile(r"\n{3,}")
_LINE_ENDS = re.compile(r"\r\n?|[\x0b\x0c\x85\u2028\u2029]")
# Joiners hold emoji and some scripts together; everything else here is invisible or turns the direction of text.
_INVISIBLE = re.compile(
    "[\x00-\x08\x0e-\x1f\x7f\x80-\x84\x86-\x9f\u00ad\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u2069\ufeff\ufff9-\ufffd\ud800-\udfff]"
)
_BLOCKS = "p,div,br,li,tr,h1,h2,h3,h4,h5,h6,blockquote,pre,section,article,ul,ol,table,hr"
_MAX_MARKS = re.compile(r"([\u0300-\u036f\u0483-\u0489\u20d0-\u20ff]{4})[\u0300-\u036f\u0483-\u0489\u20d0-\u20ff]+")


def clean_text(text: str) -> str:
    """The text in Unicode's form C, with markup turned to text, and control characters and surplus spaces left out.

    Cleaning what is clean changes nothing.
    """
    if text.isascii() and text.isprintable() and "<" not in text and "&" not in text and "  " not in text:
        return text.strip()
    text = _plain(text)
    # Text of a tag that was itself escaped: &lt;b&gt;.
    while (after := _without_markup(text)) != text:
        text = _plain(after)
    return text


def _plain(text: str) -> str:
    text = _INVISIBLE.sub("", _LINE_ENDS.sub("\n", text))
    text = unicodedata.normalize("NFC", _MAX_MARKS.sub(r"\1", text))
    lines = [_SPACES.sub(" ", line).strip() for line in text.split("\n")]
    return _BLANK_LINES.sub("\n\n", "\n".join(lines)).strip()


def _without_markup(text: str) -> str:
    if _MARKUP.search(text):
        # Slow to import, and rarely needed.
        from selectolax.lexbor import LexborHTMLParser

        tree = LexborHTMLParser(text)
        tree.strip_tags(["script", "style", "noscript", "template", "head"])
        for node in tree.css(_BLOCKS):
            node.insert_before("\n")
            node.insert_after("\n")
        body = tree.body
        return body.text(deep=True, separator="") if body is not None else ""
    if _ENTITY.search(text):
        return html.unescape(text)
    return text
