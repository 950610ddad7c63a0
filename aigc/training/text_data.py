"""Texts and dialogues to learn from."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from aigc.entities import Item
from aigc.generate.base import TextData
from aigc.training.data_options import TextDataOptions
from aigc.training.data_parts import divide, refuse_few
from aigc.training.data_source import DIALOGUE, DataChoice

__all__ = ["dialogue_pairs", "texts_of_items"]

_REMEDY = "import some with `aigc import items FILE`, ask for other kinds or categories, or give another path"
_LEAST_CHARACTERS = 100


def texts_of_items(items: Iterable[Item], choice: DataChoice, options: TextDataOptions) -> tuple[TextData, list[str]]:
    """Whole texts, or pairs of prompt and answer, divided.

    Of one text alone the end is held out; of several a random part; of dialogues whole ones, so that no answer is held
    out whose dialogue was learned.

    Raises:
        InvalidInputError: There is too little.
    """
    kept = [item for item in items if item.text.strip()]
    dialogues = options.form == "dialogues" or (
        options.form == "auto" and bool(kept) and all(item.kind == DIALOGUE for item in kept)
    )
    if len(kept) > 1 and options.limit:
        chosen = np.sort(np.random.default_rng(options.seed).permutation(len(kept))[: options.limit])
        kept = [kept[i] for i in chosen]
    if dialogues:
        return _dialogues(kept, choice, options)
    texts = [f"{item.title}\n{item.text}" if options.title and item.title else item.text for item in kept]
    refuse_few(sum(map(len, texts)), "characters of text", choice.in_words, choice.remedy(_REMEDY), _LEAST_CHARACTERS)
    if len(texts) == 1:
        cut = round(len(texts[0]) * (1 - options.held_out))
        rest = (texts[0][cut:],) if cut < len(texts[0]) else ()
        return TextData((texts[0][:cut],), rest), ["held out: the end of the text"] if rest else []
    train, held_out = divide(len(texts), options.held_out, 0, options.seed, least=1 if options.held_out else 0)
    return TextData(tuple(texts[i] for i in train), tuple(texts[i] for i in held_out)), []


def dialogue_pairs(texts: Sequence[str]) -> list[tuple[str, str]]:
    """(prompt, answer) of dialogues whose turns are lines: each odd line and the even one after it."""
    pairs = []
    for text in texts:
        turns = [line.strip() for line in text.splitlines() if line.strip()]
        pairs += [(turns[i], turns[i + 1]) for i in range(0, len(turns) - 1, 2)]
    return pairs


def _dialogues(items: Sequence[Item], choice: DataChoice, options: TextDataOptions) -> tuple[TextData, list[str]]:
    whole = [item.text for item in items if len([1 for line in item.text.splitlines() if line.strip()]) > 1]
    refuse_few(len(whole), "dialogues of two turns", choice.in_words, choice.remedy(_REMEDY))
    notes = [f"{len(items) - len(whole):,} left out: texts of one line"] if len(whole) < len(items) else []
    train, held_out = divide(len(whole), options.held_out, 0, options.seed, least=1 if options.held_out else 0)
    pairs = dialogue_pairs([whole[i] for i in train])
    return TextData((), (), tuple(pairs), tuple(dialogue_pairs([whole[i] for i in held_out]))), notes
