"""Planted bad candidates, fifty of each of six kinds, and clean ones, through the gates as the loop asks them.

The catalogue holds 10,000 training digits, 1,000 emoji and half of the dialogues and of 4,000 poems. Planted: copied
pictures with noise, moved or lightened; texts with telephone numbers in Chinese and English ways of writing, in words
too; blocked terms spaced out, full-width, in capitals, traditional, with invisible characters; numbers no source has;
blank pictures and noise of several kinds; repeated texts. Clean: test digits with the GAN's own quality, held-out
emoji, the other half of the texts, each with its own work as its source.

Prediction, written before the run: every planted kind refused at least 98 % with the right reason; clean ones under 5 %
of every kind: digits 2 % (the quality limit's own share), emoji 2 to 3 % (some are near copies of each other).

python benchmarks/gates_planted.py --gan FOLDER
"""

from __future__ import annotations

import argparse
import gzip
import json
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import phonenumbers
from loop_home import digits
from picture_sets import DATA, emoji, mnist
from PIL import Image, ImageFilter

from aigc.creation.candidate import Candidate
from aigc.creation.gates.gate import Gates
from aigc.entities import Item, ItemContent
from aigc.generate.gan_generator import GanGenerator
from aigc.prepare.picture import encode_png
from aigc.recommend.creation_recipe import CreationRecipe
from aigc.services.creation_gates import CreationGates
from aigc_server.app import open_platform
from aigc_server.settings import Settings

EACH = 50
TERMS = ("gambling", "casino", "counterfeit", "赌博", "代开发票", "迷药", "free money")
RECIPE = CreationRecipe(enabled=True, blocked_terms=",".join(TERMS), fiction="poem")
HAN = "零一二三四五六七八九"
Rng = np.random.Generator


def texts() -> tuple[list[Item], list[Item]]:
    """Known and held-out real texts in both languages: dialogues' answers, and poems."""
    found: list[Item] = []
    for name, language in (("chinese", "zh"), ("english", "en")):
        for line in (DATA / "dialogues" / f"{name}.jsonl").read_text(encoding="utf-8").splitlines():
            turns = json.loads(line)["turns"]
            if len(turns) > 1:
                question, answer = turns[0], " ".join(turns[1:])
                found.append(
                    Item(f"talk-{len(found)}", title=question, text=answer, categories=("talk",), language=language)
                )
    with gzip.open(DATA / "poetry" / "poems.jsonl.gz", "rt", encoding="utf-8") as file:
        for _, line in zip(range(4000), file, strict=False):
            poem = json.loads(line)
            body = "\n".join(poem["lines"])
            found.append(
                Item(f"poem-{len(found)}", title=poem["title"], text=body, categories=("poem",), language="zh")
            )
    # One answer stands to many questions: each text once, or what is held out would be known.
    found = list({item.text: item for item in found}.values())
    order = np.random.default_rng(1).permutation(len(found))
    half = len(found) // 2
    return [found[i] for i in order[:half]], [found[i] for i in order[half:]]


def text_of(item: Item, words: str) -> Candidate:
    """A text written on an item's grounds."""
    return Candidate(
        "text", title=item.title, text=words, label=item.categories[0], language=item.language, sources=[item]
    )


def into(item: Item, part: str, rng: Rng) -> str:
    """A sentence put somewhere between the sentences of a text."""
    lines = item.text.replace("。", "。\n").replace(". ", ".\n").splitlines()
    lines.insert(int(rng.integers(len(lines) + 1)), part)
    return ("" if item.language == "zh" else " ").join(lines)


def telephone(rng: Rng) -> tuple[str, str]:
    """(sentence, language) with a number that could be somebody's."""
    mobile = f"1{rng.choice([38, 39, 50, 58, 77, 86, 88, 99])}{rng.integers(10**8):08d}"
    a, b, c = mobile[:3], mobile[3:7], mobile[7:]
    land = f"{rng.choice(['010', '021', '0755', '0571'])}-{rng.integers(2, 9)}{rng.integers(10**7):07d}"
    while True:
        us = f"{rng.choice([212, 202, 415, 650, 312])}{rng.integers(200, 999)}{rng.integers(10**4):04d}"
        if phonenumbers.is_valid_number(phonenumbers.parse(us, "US")):
            break
    x, y, z = us[:3], us[3:6], us[6:]
    told = "".join(HAN[int(d)] for d in mobile)
    full = "".join(chr(ord(d) + 0xFEE0) for d in mobile)
    words = " ".join("zero one two three four five six seven eight nine".split()[int(d)] for d in us)  # noqa: SIM905
    london = f"020 7{rng.integers(100, 999)} {rng.integers(10**4):04d}"
    ways = [
        (f"联系电话{mobile}。", "zh"),
        (f"有事请打{a} {b} {c}，谢谢。", "zh"),
        (f"手机：{a}-{b}-{c}", "zh"),
        (f"电话+86 {a} {b} {c}", "zh"),
        (f"拨打0086{mobile}", "zh"),
        (f"座机{land}", "zh"),
        (f"座机({land.replace('-', ') ')}", "zh"),
        (f"号码{full}", "zh"),
        (f"我的号码是{told}", "zh"),
        (f"我的号码是{told[:3]} {told[3:7]} {told[7:]}", "zh"),
        (f"加{'.'.join(mobile)}", "zh"),
        (f"{' '.join(mobile)}是我的电话", "zh"),
        (f"Call me at ({x}) {y}-{z}.", "en"),
        (f"My number is {x}-{y}-{z}.", "en"),
        (f"Text {x}.{y}.{z} tonight.", "en"),
        (f"Phone: +1 {x} {y} {z}", "en"),
        (f"Dial {us} now.", "en"),
        (f"Reach me on {words}.", "en"),
        (f"Ring {london} in London.", "en"),
        (f"Ring +44 20 7{rng.integers(100, 999)} {rng.integers(10**4):04d}.", "en"),
        (f"It is {' '.join(us)}, ask for me.", "en"),
        (f"{x} • {y} • {z}", "en"),
    ]
    return ways[int(rng.integers(len(ways)))]


def blocked(rng: Rng) -> tuple[str, str]:
    """(sentence, language) with a blocked term in disguise."""
    term = str(rng.choice(TERMS))
    chinese = not term.isascii()
    gap = str(rng.choice([" ", "-", ".", "*", "_", "\u200b", "\u00ad", " . ", "·", "~"]))
    traditional = {"赌博": "賭博", "代开发票": "代開發票", "迷药": "迷藥"}.get(term, term)
    ways = [
        term,
        term.upper(),
        term.title(),
        gap.join(term),
        gap.join(term.upper()),
        "".join(chr(ord(c) + 0xFEE0) if "!" <= c <= "~" else c for c in term),
        traditional,
        gap.join(traditional),
    ]
    found = ways[int(rng.integers(len(ways)))]
    return (f"这里有{found}可以看。", "zh") if chinese else (f"Here is {found} for you.", "en")


def unsupported(rng: Rng) -> tuple[str, str]:
    """(sentence, language) that states a number."""
    n, year = int(rng.integers(13, 98)), int(rng.integers(1801, 2030))
    tens, ones = divmod(n, 10)
    told = f"{HAN[tens] if tens > 1 else ''}十{HAN[ones] if ones else ''}"
    many = f"{HAN[int(rng.integers(2, 10))]}{rng.choice(['百', '千'])}{HAN[int(rng.integers(2, 10))]}"
    named = ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]
    unit = ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
    scale = str(rng.choice(["hundred", "thousand", "million"]))
    word = unit[int(rng.integers(1, 9))]
    ways = [
        (f"价格上涨了{n}%。", "zh"),
        (f"价格上涨了百分之{told}。", "zh"),
        (f"成立于{year}年。", "zh"),
        (f"成立于{''.join('〇一二三四五六七八九'[int(d)] for d in str(year))}年。", "zh"),
        (f"共有{told}人参加。", "zh"),
        (f"一共{many}万人。", "zh"),
        (f"收入增加了{HAN[int(rng.integers(2, 10))]}成。", "zh"),
        (f"是原来的{HAN[int(rng.integers(2, 10))]}倍。", "zh"),
        (f"售价{n}.{ones}元。", "zh"),
        (f"There are {n},{rng.integers(100, 999)} of them.", "en"),
        (f"It grew by {n} percent.", "en"),
        (f"Founded in {year}, it lasts.", "en"),
        (f"About {named[int(rng.integers(8))]}-{unit[int(rng.integers(9))]} people agree.", "en"),
        (f"More than {word} {scale} were sold.", "en"),
        (f"It is {word} times better.", "en"),
        (f"It costs ${n}.{rng.integers(10, 99)}.", "en"),
        (f"Ｉｔ ｔａｋｅｓ {''.join(chr(ord(d) + 0xFEE0) for d in str(year))} days.", "en"),
    ]
    return ways[int(rng.integers(len(ways)))]


def repeated(item: Item, rng: Rng) -> str:
    """A text that goes round in circles."""
    chinese = item.language == "zh"
    mark, space = ("。", "") if chinese else (".", " ")
    sentence = item.text.replace("\n", "")[:60].strip() or item.title
    words = list(sentence[:12]) if chinese else sentence.split()[:6]
    more = ["真的", "其实", "当然", "就是"] if chinese else ["really", "indeed", "truly", "so"]
    ways = [
        (sentence + mark + space) * int(rng.integers(4, 9)),
        space.join(words) * int(rng.integers(5, 12)),
        space.join(w for w in words for _ in range(5)),
        "".join(f"{sentence}{space}{rng.choice(more)}{mark}{space}" for _ in range(8)),
        ("哈" if chinese else "ha ") * int(rng.integers(20, 60)),
        "\n".join([sentence] * int(rng.integers(4, 8))),
        ("".join(f"{sentence}{'！,。'[i % 3]}" for i in range(7)) if chinese else "!? ".join([sentence] * 6)),
    ]
    return str(ways[int(rng.integers(len(ways)))])


def copied(pixels: np.ndarray, rng: Rng, much: float = 1.0) -> Candidate:
    """A known picture with a little noise, moved by a pixel, lighter or darker; ``much`` times as much of each."""
    values = pixels.astype(np.float64)
    colours = values[..., :3]
    if rng.random() < 0.6:
        colours += rng.normal(0, much * rng.uniform(1, 6), colours.shape)
    if rng.random() < 0.6:
        colours *= 1 + much * rng.uniform(-0.05, 0.05)
        colours += much * rng.uniform(-4, 4)
    made = values.clip(0, 255).astype(np.uint8)
    if rng.random() < 0.6:
        down, right = rng.integers(-round(much), round(much) + 1, 2)
        wide = np.pad(made, ((2, 2), (2, 2), (0, 0)))
        made = wide[2 - down : 2 - down + made.shape[0], 2 - right : 2 - right + made.shape[1]]
    return Candidate("image", pixels=np.ascontiguousarray(made))


def nothing(rng: Rng) -> Candidate:
    """A blank picture or noise, grey or in colour, 28 or 32 pixels wide."""
    side, channels = int(rng.choice([28, 32, 64])), int(rng.choice([1, 3]))
    shape = (side, side, channels)
    ground = float(rng.integers(256))
    kind = int(rng.integers(8))
    if kind == 0:
        made = np.full(shape, ground)
    elif kind == 1:
        made = np.full(shape, ground) + rng.normal(0, 3, shape)
    elif kind == 2:
        made = rng.integers(0, 256, shape).astype(np.float64)
    elif kind == 3:
        made = rng.normal(128, rng.uniform(45, 90), shape)
    elif kind == 4:
        made = np.where(rng.random(shape) < 0.5, 0.0, 255.0)
    elif kind == 5:
        soft = Image.fromarray(rng.integers(0, 256, (side, side, 3)).astype(np.uint8))
        made = np.asarray(soft.filter(ImageFilter.GaussianBlur(0.5)), np.float64)
    elif kind == 6:
        made = np.concatenate([rng.integers(0, 256, (side, side, 3)), np.zeros((side, side, 1))], axis=2)
    else:
        made = rng.gamma(1.0, 60.0, shape)
    return Candidate("image", pixels=made.clip(0, 255).astype(np.uint8))


def told(name: str, gates: Gates, candidates: Sequence[Candidate], right: Sequence[str]) -> None:
    """Print how many were refused, for what."""
    verdicts = [gates.judge(c) for c in candidates]
    reasons = Counter(v.reason or "admitted" for v in verdicts)
    good = sum(v.reason in right for v in verdicts)
    refused = sum(not v.admitted for v in verdicts)
    count = len(candidates)
    words = f"refused {refused} of {count} ({refused / count:.1%})"
    if right:
        words += f", for the right reason {good} ({good / count:.1%})"
    print(f"{name:<24} {words}; {dict(reasons.most_common())}", flush=True)
    for candidate, verdict in zip(candidates, verdicts, strict=True):
        if right and verdict.reason not in right and candidate.kind == "text":
            print(f"    {verdict.reason or 'admitted'}: {candidate.text[:160]!r} {verdict.detail[:100]}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gan", type=Path, required=True)
    parser.add_argument("--each", type=int, default=EACH, help="planted ones of a kind")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    began = time.perf_counter()
    rng, each = np.random.default_rng(arguments.seed), arguments.each
    known_digits = digits(10_000)
    pictures, _ = emoji()
    order = np.random.default_rng(1).permutation(len(pictures))
    known_emoji = [
        Item(f"emoji-{i}", kind="image", title="e", content=ItemContent("image/png", encode_png(pictures[i])))
        for i in order[:1000].tolist()
    ]
    known_texts, new_texts = texts()
    with tempfile.TemporaryDirectory() as folder:
        platform = open_platform(Settings(), Path(folder) / "home")
        for items in (known_digits, known_emoji, known_texts):
            for at in range(0, len(items), 500):
                platform.catalog.upsert(items[at : at + 500])
        gates = CreationGates(platform.store).of(RECIPE)
        print(f"{time.perf_counter() - began:.0f} s to read {len(known_digits) + len(known_emoji)} pictures and texts")
        train, test = mnist()
        talk = [t for t in new_texts if t.categories == ("talk",) and len(t.text) > 12]
        by_language = {language: [t for t in talk if t.language == language] for language in ("zh", "en")}

        def planted(make: Callable[[Rng], tuple[str, str]]) -> list[Candidate]:
            found = []
            for _ in range(each):
                sentence, language = make(rng)
                item = by_language[language][int(rng.integers(len(by_language[language])))]
                found.append(text_of(item, into(item, sentence, rng)))
            return found

        sources = [int(i.id.split("-")[1]) for i in known_digits]
        originals = [train.pixels[int(rng.choice(sources))] for _ in range(each // 2)]
        originals += [pictures[int(rng.choice(order[:1000]))] for _ in range(each - each // 2)]
        told("copied pictures", gates, [copied(p, rng) for p in originals], ("DUPLICATE_PICTURE",))
        told("copied, twice as changed", gates, [copied(p, rng, 2.0) for p in originals], ("DUPLICATE_PICTURE",))
        told("telephone numbers", gates, planted(telephone), ("PERSONAL_DATA",))
        told("blocked terms", gates, planted(blocked), ("BLOCKED_TERM",))
        told("unsupported numbers", gates, planted(unsupported), ("UNSUPPORTED_NUMBER",))
        told("blank and noise", gates, [nothing(rng) for _ in range(each)], ("BLANK_PICTURE", "NOISE"))
        circles = [talk[int(i)] for i in rng.integers(len(talk), size=each)]
        told("repeated texts", gates, [text_of(t, repeated(t, rng)) for t in circles], ("REPEATED_TEXT",))

        gan = GanGenerator.load(arguments.gan)
        clean, labels = test.pixels[:1000], test.labels[:1000]
        quality = []
        for start in range(0, len(clean), 16):
            part = np.concatenate([clean[start : start + 16]] * 2)[:16]
            rows = np.concatenate([labels[start : start + 16]] * 2)[:16]
            import torch

            scores = gan._scores(part, torch.from_numpy(rows))[: len(clean[start : start + 16])]
            quality += [gan._rank(s, int(r)) for s, r in zip(scores, rows, strict=False)]
        told(
            "clean test digits",
            gates,
            [Candidate("image", pixels=p, quality=q) for p, q in zip(clean, quality, strict=True)],
            (),
        )
        told("clean emoji, held out", gates, [Candidate("image", pixels=p) for p in pictures[order[1000:]]], ())
        for name, items in (
            ("clean Chinese answers", by_language["zh"]),
            ("clean English answers", by_language["en"]),
            ("clean poems", [t for t in new_texts if t.categories == ("poem",)]),
        ):
            written = [text_of(t, t.text) for t in items if len(t.text.split()) > 3 or t.language == "zh"]
            told(name, gates, written, ())
        platform.close()
    print(f"{time.perf_counter() - began:.0f} s in all")


if __name__ == "__main__":
    main()
