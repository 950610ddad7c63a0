"""The contact sheet: rows of pictures with a caption each, so that a glance tells whether it worked."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

__all__ = ["Row", "draw_sheet"]

Row = tuple[str, Sequence[Path]]

_TILE = 64
_GAP = 8
_CAPTION = 26
_MARGIN = 20


def draw_sheet(title: str, rows: Sequence[Row], target: Path, columns: int = 12) -> None:
    """Write a PNG.

    Args:
        title: Stands on top.
        rows: Caption and pictures of each row; at most ``columns`` pictures are drawn.
        target: The file to write.
        columns: Pictures beside each other.
    """
    width = 2 * _MARGIN + columns * (_TILE + _GAP) - _GAP
    row_height = _CAPTION + _TILE + _GAP + 10
    sheet = Image.new("RGB", (width, 2 * _MARGIN + 34 + row_height * len(rows)), "white")
    draw = ImageDraw.Draw(sheet)
    draw.text((_MARGIN, _MARGIN), title, "black", ImageFont.load_default(22))
    y = _MARGIN + 42
    for caption, pictures in rows:
        draw.text((_MARGIN, y), caption, "#444444", ImageFont.load_default(15))
        for column, picture in enumerate(list(pictures)[:columns]):
            x = _MARGIN + column * (_TILE + _GAP)
            with Image.open(picture) as image:
                tile = image.convert("L").resize((_TILE, _TILE), Image.Resampling.LANCZOS)
            sheet.paste(tile, (x, y + _CAPTION))
            draw.rectangle((x - 1, y + _CAPTION - 1, x + _TILE, y + _CAPTION + _TILE), outline="#bbbbbb")
        y += row_height
    sheet.save(target)
