"""Train the line as a process of its own: ``python -m tests.training.run_line FOLDER STEPS [CHECKPOINT_EVERY]``."""

from __future__ import annotations

import sys
from pathlib import Path

import torch

from aigc.training.options import TrainerOptions
from aigc.training.processes import end_process, joined
from aigc.training.trainer import Trainer
from tests.training.line_task import LineTask

if __name__ == "__main__":
    torch.set_num_threads(1)
    folder, steps = Path(sys.argv[1]), int(sys.argv[2])
    every = int(sys.argv[3]) if len(sys.argv) > 3 else 10
    with joined() as processes:
        task = LineTask()
        trainer = Trainer(task, TrainerOptions(steps=steps, checkpoint_every=every), folder, processes=processes)
        for progress in trainer.train():
            if progress.metrics:
                sys.stdout.write(f"{progress.step} {progress.metrics['adam_loss']:.6f}\n")
                sys.stdout.flush()
    end_process(0)
