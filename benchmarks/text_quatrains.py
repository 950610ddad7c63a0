"""A trained model completes five-character quatrains: form, rhyme, variety and copies of 200, real ones beside.

    python benchmarks/text_quatrains.py FOLDER

FOLDER holds what ``text_poems.py`` made: ``base``, and ``dialogue``, which answers the article's prompt in the end.
The prompt is the heading and the first verse of a quatrain that was held out; the form is counted over the whole poem.
Goal: four verses of five characters in 80 %. Rhyme is reported: of verse two with verse four, by pairs that rhyme in
the regular poems that were learnt from (Tang rhymes are not today's).
"""

from __future__ import annotations

import argparse
import random
import time
from dataclasses import asdict
from pathlib import Path

from text_corpus import poems

from aigc.evaluate.generation.text import longest_copy, measure_texts
from aigc.evaluate.generation.verse import RhymeBook, in_form, verse_lines
from aigc.generate.decode import EngineLimits, TextEngine
from aigc.generate.gpt import GptGenerator
from aigc.generate.text_request import TextRequest

SAMPLES = 200
GOAL = 0.8
QUESTIONS = ("我是一个人工智能助手", "你好", "你是谁", "什么是人工智能", "你会死吗", "Are you a robot?", "Hello")


def complete(engine: TextEngine, requests: list[TextRequest]) -> list[str]:
    streams = [engine.submit(request) for request in requests]
    return ["".join(chunk.text for chunk in stream) for stream in streams]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    args = parser.parse_args()
    verses = poems()
    random.Random(0).shuffle(verses)  # as text_poems.py does: the first 2,000 were not learnt from
    held_out = [text.split("\n", 1) for text in verses[:2000] if text.startswith("五言絕句")]
    held_out = [(head, body) for head, body in held_out if in_form(body)]
    learnt = [text.split("\n", 1)[1] for text in verses[2000:]]
    book = RhymeBook(text.split("\n", 1)[1] for text in verses[2000:] if text[2] in "絕律")
    everything = "\n".join(learnt)
    real = [body for _, body in held_out]

    start = time.perf_counter()
    generator = GptGenerator.load(args.folder / "base")
    engine = generator.engine(16, EngineLimits(queue=SAMPLES))
    print(f"{generator.described['parameters']:,} parameters; {len(held_out)} quatrains held out")
    made: list[str] = []
    for temperature, top_p in ((1.0, 1.0), (0.8, 0.95)):
        firsts = [held_out[i % len(held_out)] for i in range(SAMPLES)]
        heads = [f"{head}\n{body[:6]}" for head, body in firsts]
        requests = [
            TextRequest(head, max_tokens=60, temperature=temperature, top_p=top_p, seed=i)
            for i, head in enumerate(heads)
        ]
        made = [f"{body[:6]}{rest}" for (_, body), rest in zip(firsts, complete(engine, requests), strict=True)]
        formed = [text for text in made if in_form(text)]
        share = len(formed) / SAMPLES
        rhymed = sum(map(book.rhymes, formed)) / max(1, len(formed))
        print(
            f"temperature {temperature}, top-p {top_p}: {share:.1%} of {SAMPLES} in form (goal {GOAL:.0%}): "
            f"{'holds' if share >= GOAL else 'DOES NOT HOLD'}; {rhymed:.0%} of them rhyme"
        )
    source = random.Random(1)
    ends = [verse_lines(body)[i][-1] for body in real for i in (1, 3)]
    chance = sum(book.rhyme(source.choice(ends), source.choice(ends)) for _ in range(5000)) / 5000
    print(
        f"held-out quatrains: {sum(map(book.rhymes, real)) / len(real):.0%} rhyme; ends taken at random: {chance:.0%}"
    )
    ours, theirs = measure_texts(made[: len(real)], real)
    print(f"generated {asdict(ours)}\nreal      {asdict(theirs)}")
    copies = [longest_copy(text[6:].strip(), everything) for text in made]
    floor = [longest_copy(body[6:], everything) for body in real]
    print(
        f"longest piece that stands in a poem learnt from: mean {sum(copies) / len(copies):.1f} characters, most "
        f"{max(copies)}; held-out poems: {sum(floor) / len(floor):.1f}, {max(floor)}"
    )
    print(f"{time.perf_counter() - start:.0f} s\n")
    for text in [text for text in made if in_form(text) and book.rhymes(text)][:6]:
        print(text + "\n")
    engine.close()
    if (args.folder / "dialogue").is_dir():
        answering = GptGenerator.load(args.folder / "dialogue").engine(8, EngineLimits())
        requests = [TextRequest(question, max_tokens=60, temperature=0) for question in QUESTIONS]
        for question, answer in zip(QUESTIONS, complete(answering, requests), strict=True):
            print(f"{question} → {answer}")
        for seed in range(5):
            told = complete(answering, [TextRequest(QUESTIONS[0], max_tokens=60, temperature=0.7, seed=seed)])
            print(f"{QUESTIONS[0]} (temperature 0.7, seed {seed}) → {told[0]}")
        answering.close()


if __name__ == "__main__":
    main()
