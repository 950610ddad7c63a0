"""The texts that the language models of the benchmarks learn from: poems, plays and dialogues of ../shared/data."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Collection
from pathlib import Path

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
if not DATA.is_dir():
    DATA = Path(__file__).resolve().parents[1] / "shared" / "data"

_MARKS = re.compile(r"[，。？！、；：]")
_STRANGE = re.compile(r"[^\u3400-\u9fff，。？！、；：\n]")
_FORMS = {(4, 5): "五言絕句", (4, 7): "七言絕句", (8, 5): "五言律詩", (8, 7): "七言律詩"}


def poem_text(poem: dict[str, object]) -> str | None:
    """A heading with the form, found by counting, and the lines; None where characters are lost or notes are within."""
    lines = "\n".join(poem["lines"])
    title = str(poem["title"])
    if _STRANGE.search(lines) or not lines:
        return None
    parts = [part for part in _MARKS.split(lines.replace("\n", "")) if part]
    lengths = set(map(len, parts))
    if poem["kind"] != "tang":
        form = "詞" if poem["kind"] == "songci" else "詩經"
    elif len(lengths) == 1 and (len(parts), max(lengths)) in _FORMS:
        form = _FORMS[len(parts), max(lengths)]
    else:
        form = {5: "五言古詩", 7: "七言古詩"}.get(max(lengths), "雜言詩") if len(lengths) == 1 else "雜言詩"
    return f"{form}《{title[:20]}》\n{lines}"


def poems() -> list[str]:
    with gzip.open(DATA / "poetry" / "poems.jsonl.gz", "rt", encoding="utf-8") as file:
        found = [poem_text(json.loads(line)) for line in file]
    return [text for text in found if text]


def plays() -> str:
    return (DATA / "tinyshakespeare" / "input.txt").read_text(encoding="utf-8")


def dialogue_pairs(language: str, without: Collection[str] = ()) -> list[tuple[str, str]]:
    """(what was said, the answer) of every turn that is one; ``without`` these categories."""
    pairs = []
    with (DATA / "dialogues" / f"{language}.jsonl").open(encoding="utf-8") as file:
        for line in file:
            dialogue = json.loads(line)
            turns = [] if dialogue["category"] in without else dialogue["turns"]
            pairs += [(turns[i], turns[i + 1]) for i in range(len(turns) - 1)]
    return pairs


def scenes(text: str, characters: int = 2000) -> list[str]:
    """Plays cut between speeches, so that they mix with the poems."""
    cut: list[str] = [""]
    for speech in text.split("\n\n"):
        if len(cut[-1]) > characters:
            cut.append("")
        cut[-1] += speech + "\n\n"
    return [part.strip() for part in cut]
