"""``aigc generator``."""

from __future__ import annotations

import click

from aigc_server.cli.generator_evaluation import evaluate_command
from aigc_server.cli.generator_jobs import jobs_group
from aigc_server.cli.generator_models import alias_command, delete_command, list_command, show_command
from aigc_server.cli.generator_promotions import promote_command, promotions_command, withdraw_command
from aigc_server.cli.generator_recipes import recipes_command
from aigc_server.cli.generator_sampling import sample_command
from aigc_server.cli.generator_training import train_command

__all__ = ["generator_group"]


@click.group("generator")
def generator_group() -> None:
    r"""Train generators of pictures, texts and recordings, look at them, let them make something.

    \b
    From a folder of pictures to new ones:
      aigc generator recipes                          # what can be trained
      aigc generator recipes gan                      # and with which options
      aigc generator train gan --name digits --data PATH --set trainer.steps=2000
      aigc generator sample digits --n 16 --out sheet.png

    Without --data a model learns from the catalogue (`aigc import images`, `import items`, `import audio`). A training
    that was cut off goes on where it stopped when the same command is given again. While a server runs, it trains in
    the background: see `aigc generator jobs`. There, a new version takes the place of the old one only when it is no
    worse: see `aigc generator promote`.
    """


for command in (
    recipes_command,
    train_command,
    list_command,
    show_command,
    alias_command,
    delete_command,
    evaluate_command,
    promote_command,
    promotions_command,
    withdraw_command,
    sample_command,
    jobs_group,
):
    generator_group.add_command(command)
