"""Tiny Shakespeare by characters, nanoGPT's split (90 % to learn from): validation loss after so many minutes on a CPU.

    python benchmarks/text_shakespeare.py 3      # goal: below 1.70; nanoGPT's CPU setting reaches 1.88 in about 3 min
    python benchmarks/text_shakespeare.py 30     # goal: below 1.55; nanoGPT's GPU setting reaches 1.4697

The loss is over the whole validation part, read once in windows of the model's context that do not overlap; nanoGPT
takes the mean of 200 (CPU: 20) batches of such windows at random places, so a character has the same context on
average.
The minutes are wall time from the first step on, compiling included, validations left out.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
import time
from pathlib import Path

import torch
from text_corpus import plays

from aigc.generate.base import TextData
from aigc.generate.gpt import GptGenerator
from aigc.generate.gpt_task import GptTask
from aigc.generate.text_training import TextTrainingOptions
from aigc.generate.tokenizer import TextTokenizer
from aigc.generate.transformer import TransformerOptions
from aigc.training.options import TrainerOptions
from aigc.training.trainer import Trainer

# minutes → (goal, peer, layers, width, context, batch, dropout, steps)
SETTINGS = {
    3: (1.70, 1.88, 4, 128, 128, 32, 0.0, 900),
    30: (1.55, 1.4697, 6, 256, 256, 32, 0.15, 1500),
}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("minutes", type=int, choices=sorted(SETTINGS))
    parser.add_argument("--steps", type=int, default=0)
    args = parser.parse_args()
    goal, peer, layers, width, context, batch, dropout, steps = SETTINGS[args.minutes]
    text = plays()
    cut = int(0.9 * len(text))
    tokenizer = TextTokenizer.characters([text])
    options = TransformerOptions(
        len(tokenizer), context=context, layers=layers, width=width, heads=width // 64, dropout=dropout
    )
    generator = GptGenerator.fresh(options, tokenizer)
    task = GptTask(
        generator,
        TextData([text[:cut]], [text[cut:]]),
        TextTrainingOptions(batch, compile_blocks=True, sample_prompts=("ROMEO:\n",), sample_tokens=200),
    )
    trainer = TrainerOptions(
        steps=args.steps or steps,
        schedule="linear",
        warmup_steps=20,
        average_decay=0.98,
        precision="bfloat16",
        log_every=50,
        validate_every=300,
        target="loss",
        max_seconds=60 * args.minutes,
    )
    print(f"{generator.described['parameters']:,} parameters, {torch.get_num_threads()} threads", flush=True)
    folder = Path(tempfile.mkdtemp(prefix="aigc-shakespeare-"))
    start = time.perf_counter()
    best, seconds = float("nan"), 0.0
    run = Trainer(task, trainer, folder)
    for progress in run.train():
        seconds = progress.seconds or seconds
        if progress.measures:
            best = min(progress.measures["loss"], best) if best == best else progress.measures["loss"]
            print(f"  step {progress.step:5d}  {progress.seconds:6.0f} s  {dict(progress.measures)}", flush=True)
        elif progress.metrics and progress.step % 100 == 0:
            print(f"  step {progress.step:5d}  {progress.seconds:6.0f} s  {dict(progress.metrics)}", flush=True)
    print(next(iter(sorted((folder / "samples").iterdir(), reverse=True))).read_text(encoding="utf-8"))
    print(
        f"validation loss {best:.4f} nats a character in {seconds:.0f} s (goal below {goal}; nanoGPT {peer}); "
        f"{time.perf_counter() - start:.0f} s in all: {'holds' if best < goal else 'DOES NOT HOLD'}"
    )
    shutil.rmtree(folder)


if __name__ == "__main__":
    main()
