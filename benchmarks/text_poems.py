"""Trains the language model of the poems, plays and dialogues, then the one that answers. Prints both validations.

    python benchmarks/text_poems.py FOLDER [--steps 900] [--answer-steps 900] [--only-answers]

writes FOLDER/base and FOLDER/dialogue (models), FOLDER/runs (curves, samples).
"""

from __future__ import annotations

import argparse
import random
import shutil
import time
from pathlib import Path

from text_corpus import dialogue_pairs, plays, poems, scenes

from aigc.generate.base import TextData
from aigc.generate.gpt import GptGenerator
from aigc.generate.gpt_task import GptTask
from aigc.generate.text_training import TextTrainingOptions
from aigc.generate.tokenizer import TextTokenizer
from aigc.generate.transformer import TransformerOptions
from aigc.training.options import TrainerOptions
from aigc.training.trainer import Trainer

PROMPTS = ("五言絕句《春曉》\n", "五言絕句《秋夜》\n", "七言絕句《江雪》\n", "ROMEO:\n")
QUESTIONS = ("我是一个人工智能助手", "你好", "你是谁", "什么是人工智能", "Are you a robot?")


def fit(task: GptTask, options: TrainerOptions, folder: Path, target: Path) -> GptGenerator:
    shutil.rmtree(folder, ignore_errors=True)
    trainer = Trainer(task, options, folder)
    start = time.perf_counter()
    for progress in trainer.train():
        if progress.measures or progress.event:
            told = {k: round(v, 4) for k, v in progress.measures.items()}
            print(f"  step {progress.step} {progress.seconds:.0f} s {told} {progress.event}", flush=True)
        elif progress.step % 100 == 0:
            print(f"  step {progress.step} {progress.seconds:.0f} s {dict(progress.metrics)}", flush=True)
    print(f"{task.name}: {time.perf_counter() - start:.0f} s in all", flush=True)
    made = task.generator(trainer.final_modules)
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    made.save(target)
    return made


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--layers", type=int, default=6)
    parser.add_argument("--width", type=int, default=256)
    parser.add_argument("--steps", type=int, default=1200)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--answer-steps", type=int, default=900)
    parser.add_argument("--only-answers", action="store_true")
    args = parser.parse_args()

    verses = poems()
    random.Random(0).shuffle(verses)
    chinese, english = dialogue_pairs("chinese"), dialogue_pairs("english")
    chat = [f"{question}\n{answer}" for question, answer in chinese * 4 + english]
    documents = verses[2000:] + scenes(plays())[20:] + chat
    random.Random(1).shuffle(documents)
    held_out = verses[:400]
    base_folder = args.folder / "base"
    if args.only_answers:
        base = GptGenerator.load(base_folder)
    else:
        tokenizer = TextTokenizer.train(documents, 6144)
        options = TransformerOptions(
            len(tokenizer), context=128, layers=args.layers, width=args.width, heads=args.width // 64
        )
        base = GptGenerator.fresh(options, tokenizer)
        print(f"{base.described['parameters']:,} parameters, {len(documents):,} documents", flush=True)
        task = GptTask(
            base,
            TextData(documents, held_out),
            TextTrainingOptions(args.batch, compile_blocks=True, sample_prompts=PROMPTS),
        )
        print(f"{len(task.stream):,} tokens", flush=True)
        trainer = TrainerOptions(
            steps=args.steps,
            schedule="linear",
            warmup_steps=20,
            average_decay=0.98,
            precision="bfloat16",
            log_every=20,
            validate_every=300,
        )
        base = fit(task, trainer, args.folder / "runs" / "base", base_folder)

    # The short talk of both languages; help with computers, quizzes and code are other kinds of text, and longer.
    chinese = dialogue_pairs("chinese")
    english = dialogue_pairs("english", without=("tech support", "trivia", "coding"))
    random.Random(2).shuffle(chinese)
    pairs = chinese[20:] * 2 + english
    print(f"{len(chinese) - 20} Chinese pairs, twice, and {len(english)} English ones", flush=True)
    task = GptTask(
        base,
        TextData([], pairs=pairs, held_out_pairs=chinese[:20]),
        TextTrainingOptions(32, 0.02, 0.002, sample_prompts=QUESTIONS, sample_tokens=40),
    )
    trainer = TrainerOptions(
        steps=args.answer_steps,
        schedule="linear",
        warmup_steps=20,
        average_decay=0.95,
        precision="bfloat16",
        log_every=20,
        validate_every=200,
    )
    fit(task, trainer, args.folder / "runs" / "dialogue", args.folder / "dialogue")
    print(max((args.folder / "runs" / "dialogue" / "samples").iterdir()).read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()
