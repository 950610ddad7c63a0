"""MovieLens with each user's last rating held out, as every peer gets it, and the users that are asked about."""

from __future__ import annotations

import csv
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np

QUESTIONS = 5000


@dataclass(frozen=True)
class Split:
    """What is learned from and what is to be found.

    Attributes:
        folder: Laid out as MovieLens, the ratings without those held out; tags are left out, since they tell of them.
        seen: User → items rated in ``folder``.
        held_out: User → the item rated last (of equal times, the last in the file).
        questions: 5,000 users, drawn with seed 0 from all.
    """

    folder: Path
    seen: dict[str, set[str]]
    held_out: dict[str, str]
    questions: list[str]


def hold_out_last(data: Path, folder: Path) -> Split:
    """Write ``folder`` anew from the MovieLens folder ``data``."""
    with (data / "ratings.csv").open(newline="") as file:
        header, *rows = list(csv.reader(file))
    last: dict[str, int] = {}
    for at, (user, _, _, time) in enumerate(rows):
        if user not in last or int(time) >= int(rows[last[user]][3]):
            last[user] = at
    away = set(last.values())
    seen: dict[str, set[str]] = {}
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(data / "movies.csv", folder / "movies.csv")
    with (folder / "ratings.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        for at, row in enumerate(rows):
            if at not in away:
                writer.writerow(row)
                seen.setdefault(row[0], set()).add(row[1])
    users = sorted(last, key=int)
    drawn = np.random.default_rng(0).integers(0, len(users), QUESTIONS)
    return Split(folder, seen, {u: rows[at][1] for u, at in last.items()}, [users[i] for i in drawn])
