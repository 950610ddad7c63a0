"""A sheet of drawings with the Chinese captions they were asked for by, of those that ``captions.py`` held back.

Every so-manyth caption of each group, not chosen by eye; of several drawings the model takes what it scores best.

python benchmarks/caption_sheet.py MODEL FONT OUT.png
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from captions import GROUP
from picture_sets import emoji
from PIL import Image, ImageDraw, ImageFont

from aigc.generate.base import ImageRequest
from aigc.generate.caption_gan_generator import CaptionGanGenerator

COLUMNS, WIDTH, HEIGHT, HEAD, SIDE = 12, 90, 96, 26, 64


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path, help="the folder `model` that captions.py has written")
    parser.add_argument("font", type=Path, help="a font with Chinese characters")
    parser.add_argument("out", type=Path)
    parser.add_argument("--truncation", type=float, default=0.8)
    parser.add_argument("--drawings", type=int, default=4, help="of which the best is shown")
    arguments = parser.parse_args()
    model = CaptionGanGenerator.load(arguments.model)
    pixels, entries = emoji()
    order = np.random.default_rng(0).permutation(len(pixels))
    groups = {
        "Chinese captions that the generator never saw": (np.sort(order[GROUP : 2 * GROUP]), 48),
        "things that it never saw either": (np.sort(order[:GROUP]), 24),
    }
    rows = sum(count // COLUMNS for _, count in groups.values())
    sheet = Image.new("RGB", (COLUMNS * WIDTH, HEAD * len(groups) + HEIGHT * rows), "white")
    pen, top = ImageDraw.Draw(sheet), 0
    title_font, font = (ImageFont.truetype(str(arguments.font), size) for size in (15, 13))
    for title, (group, count) in groups.items():
        pen.text((4, top + 4), title, fill="black", font=title_font)
        top += HEAD
        for place, row in enumerate(group[np.linspace(0, len(group) - 1, count).astype(int)]):
            caption = str(entries[row]["zh"])
            seeds = range(arguments.drawings)
            request = ImageRequest(tuple(seeds), captions=[caption for _ in seeds], truncation=arguments.truncation)
            best = max(model.generate(request), key=lambda drawing: drawing.quality)
            drawn = Image.fromarray(best.pixels).resize((SIDE, SIDE), Image.Resampling.NEAREST)
            x, y = place % COLUMNS * WIDTH, top + place // COLUMNS * HEIGHT
            sheet.paste(drawn, (x + 10, y), drawn if drawn.mode == "RGBA" else None)
            pen.text(
                (x + 6, y + SIDE + 4), caption if len(caption) <= 6 else f"{caption[:5]}…", fill="black", font=font
            )
        top += HEIGHT * (count // COLUMNS)
    sheet.quantize(128, dither=Image.Dither.NONE).save(arguments.out, optimize=True)


if __name__ == "__main__":
    main()
