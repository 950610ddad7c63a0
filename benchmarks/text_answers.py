"""Answers of the dialogue model beside what it learned: the nearest question of the training data, and its answer.

    python benchmarks/text_answers.py FOLDER

FOLDER holds what ``text_poems.py`` made. Greedy, and at temperature 0.5 by five seeds for the article's prompt. Nearest
is by pairs and single characters that two questions share (Dice). An answer that stands in the training data word for
word is marked: from so few dialogues a model learns its answers by heart, and which one to give.
"""

from __future__ import annotations

import argparse
from collections import Counter
from pathlib import Path

from text_corpus import dialogue_pairs

from aigc.generate.decode import EngineLimits, TextEngine
from aigc.generate.gpt import GptGenerator
from aigc.generate.text_request import TextRequest

QUESTIONS = (
    "我是一个人工智能助手",
    "你是人工智能吗",
    "你好",
    "你是谁",
    "你会死吗",
    "机器人会笑吗",
    "你喜欢什么",
    "Are you a robot?",
    "Hello",
)


def grams(text: str) -> Counter[str]:
    return Counter([*text, *(text[i : i + 2] for i in range(len(text) - 1))])


def likeness(a: str, b: str) -> float:
    return 2 * (grams(a) & grams(b)).total() / max(1, (grams(a) + grams(b)).total())


def answer(engine: TextEngine, question: str, temperature: float, seed: int = 0) -> str:
    request = TextRequest(question, max_tokens=60, temperature=temperature, seed=seed)
    return "".join(chunk.text for chunk in engine.submit(request))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    args = parser.parse_args()
    engine = GptGenerator.load(args.folder / "dialogue").engine(8, EngineLimits())
    known = dialogue_pairs("chinese") + dialogue_pairs("english")
    learned = {reply for _, reply in known}
    for question in QUESTIONS:
        told = answer(engine, question, 0)
        near, reply = max(known, key=lambda pair: likeness(pair[0].lower(), question.lower()))
        print(f"{question} → {told}{'（by heart）' if told in learned else ''}")
        print(f"    nearest learned: {near} → {reply}")
    for seed in range(5):
        told = answer(engine, QUESTIONS[0], 0.5, seed)
        print(f"{QUESTIONS[0]} (0.5, seed {seed}) → {told}{'（by heart）' if told in learned else ''}")
    engine.close()


if __name__ == "__main__":
    main()
