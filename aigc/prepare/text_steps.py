"""Steps that an item's text goes through."""

from __future__ import annotations

from dataclasses import replace

from aigc.entities import Item
from aigc.prepare.pipeline import Step

__all__ = ["text_steps"]

_LANGUAGE_CHARACTERS = 2000


def text_steps() -> tuple[Step, ...]:
    """``text`` and ``language``."""
    return (
        Step("text", "Unicode to NFC, markup to text, control characters and surplus white space out", _text),
        Step("language", "the language found out where none is given", _language),
    )


def _text(item: Item) -> Item:
    from aigc.prepare.text import clean_text

    clean = replace(
        item,
        title=clean_text(item.title),
        text=clean_text(item.text),
        author=clean_text(item.author),
        categories=_names(item.categories),
        tags=_names(item.tags),
    )
    return item if clean == item else clean


def _names(names: tuple[str, ...]) -> tuple[str, ...]:
    from aigc.prepare.text import clean_text

    return tuple(dict.fromkeys(n for n in (" ".join(clean_text(name).split()) for name in names) if n))


def _language(item: Item) -> Item:
    from aigc.prepare.language import detect_language

    if item.language:
        return item
    # A picture's title is often the name of its file.
    words = item.text or (item.title if item.content is None else "")
    language = detect_language(words[:_LANGUAGE_CHARACTERS])
    return item if language == "und" else replace(item, language=language)
